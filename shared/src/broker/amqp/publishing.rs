//! The connections of a run, all of them: opened together, kept up, and closed in order when both halves of the sink are gone.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use lapin::types::ShortString;
use tokio::task::JoinHandle;

use super::bell::Bell;
use super::connect::Connector;
use super::link::{Link, LinkPlan, Told, keep};
use super::sink::Route;
use crate::broker::BrokerError;

/// How long the connections may take to close, all together.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Open connections, one publishing channel each.
pub(super) struct Publishing {
    connector: Connector,
    links: Vec<Arc<Link>>,
    keepers: Vec<JoinHandle<()>>,
}

impl Publishing {
    /// Opens `connections` to each virtual host of `exchanges`, which are `(virtual host, exchange)` by destination. Returns where
    /// messages to each destination go, too.
    ///
    /// # Errors
    /// When one cannot be opened in `timeout`.
    pub(super) fn open(
        connector: Connector,
        exchanges: &[(String, ShortString)],
        connections: usize,
        told: &Sender<Told>,
        bell: &Arc<Bell>,
        timeout: Duration,
    ) -> Result<(Self, Vec<Route>), BrokerError> {
        let mut vhosts: Vec<&str> = exchanges.iter().map(|(vhost, _)| vhost.as_str()).collect();
        vhosts.sort_unstable();
        vhosts.dedup();
        let mut publishing = Self { connector, links: Vec::new(), keepers: Vec::new() };
        for vhost in &vhosts {
            for number in 0..connections {
                let of_vhost = exchanges.iter().enumerate().filter(|(_, (of, _))| of == vhost);
                let plan = LinkPlan {
                    vhost: (*vhost).to_owned(),
                    purpose: format!("replay {}", number + 1),
                    exchanges: of_vhost.map(|(ix, (_, name))| (ix, name.clone())).collect(),
                    destinations: exchanges.len(),
                };
                publishing.add(Arc::new(Link::new(plan, told.clone(), Arc::clone(bell))), timeout)?;
            }
        }
        let first_link = |vhost: &str| vhosts.iter().position(|of| *of == vhost).unwrap_or_default() * connections;
        let routes =
            exchanges.iter().map(|(vhost, exchange)| Route { exchange: exchange.clone(), first_link: first_link(vhost) }).collect();
        Ok((publishing, routes))
    }

    fn add(&mut self, link: Arc<Link>, timeout: Duration) -> Result<(), BrokerError> {
        let connection = self.connector.open(link.vhost(), link.purpose(), timeout)?;
        self.connector.wait(timeout, || "opening a channel with confirms".to_owned(), link.open_channel(&connection))?;
        let opener = self.connector.opener();
        self.keepers.push(opener.spawn(keep(Arc::clone(&link), opener.clone(), connection)));
        self.links.push(link);
        Ok(())
    }

    /// The links: by virtual host, then by connection.
    pub(super) fn links(&self) -> &[Arc<Link>] {
        &self.links
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.links.iter().for_each(|link| link.end());
        let keepers = std::mem::take(&mut self.keepers);
        let all = async {
            for keeper in keepers {
                keeper.await.map_err(std::io::Error::other)?;
            }
            Ok(())
        };
        // Whether they closed in order or not: they are gone with the connector.
        let _ = self.connector.try_wait(CLOSE_TIMEOUT, &|| "closing".to_owned(), all);
    }
}
