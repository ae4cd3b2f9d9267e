//! What stands at the broker, as files of the recording: one whenever it has changed.

use std::sync::{Mutex, PoisonError};

use crate::broker::amqp::topology::{Topology, VirtualHost};
use crate::broker::mirror::Snapshot;

/// The newest look at each virtual host.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Mutex<Vec<VirtualHost>>);

impl Snapshots {
    /// A look at a virtual host; what is to be kept, if that is something new. A first look at one of several is kept with the
    /// others', by [`Snapshots::all`].
    pub(super) fn seen(&self, vhost: VirtualHost) -> Option<Snapshot> {
        let mut vhosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut looked = Topology::of(vec![vhost]).vhosts.pop()?;
        match vhosts.iter_mut().find(|known| known.name == looked.name) {
            None => {
                vhosts.push(looked);
                None
            }
            Some(known) if *known == looked => None,
            Some(known) => {
                std::mem::swap(known, &mut looked);
                snapshot(&vhosts)
            }
        }
    }

    /// All of it as it is known now.
    pub(super) fn all(&self) -> Option<Snapshot> {
        snapshot(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `None` where it would be too large to be read back: a broker of some hundred thousand queues.
fn snapshot(vhosts: &[VirtualHost]) -> Option<Snapshot> {
    let bytes = Topology::of(vhosts.to_vec()).to_bytes().ok()?;
    Some(Snapshot { name: Topology::NAME.to_owned(), media_type: Topology::MEDIA_TYPE.to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::amqp::topology::Queue;

    fn vhost(name: &str, queues: &[&str]) -> VirtualHost {
        let queues = queues.iter().map(|queue| Queue { name: (*queue).into(), ..Queue::default() }).collect();
        VirtualHost { name: name.into(), queues, ..VirtualHost::default() }
    }

    #[test]
    fn only_what_has_changed_is_kept_again_and_all_of_it() {
        let snapshots = Snapshots::default();
        assert_eq!(snapshots.seen(vhost("a", &["x"])), None);
        assert_eq!(snapshots.seen(vhost("b", &["y"])), None);
        assert_eq!(snapshots.seen(vhost("a", &["dejaq.1", "x"])), None, "our own is none of it");
        let kept = snapshots.seen(vhost("a", &["x", "z"])).expect("changed");
        let topology = Topology::parse(&kept.bytes).expect("own file");
        assert_eq!(topology.vhosts, [vhost("a", &["x", "z"]), vhost("b", &["y"])]);
        assert_eq!(snapshots.all(), Some(kept));
    }
}
