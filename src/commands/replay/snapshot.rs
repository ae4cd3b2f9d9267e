//! What stood at the source's RabbitMQ, for `--create-topology`.

#[cfg(feature = "amqp")]
use anyhow::Context as _;
#[cfg(feature = "amqp")]
use dejaq_replay::recorded::attachment;
use dejaq_replay::remap::TopicPlan;
#[cfg(feature = "amqp")]
use dejaq_shared::broker::amqp::topology::Topology;
use dejaq_shared::broker::sink::TargetTopic;
use dejaq_shared::segment::recording::Recording;

/// What stood at the source's RabbitMQ.
#[cfg(feature = "amqp")]
pub(super) struct Snapshot {
    bytes: Vec<u8>,
    topology: Topology,
}

#[cfg(feature = "amqp")]
impl Snapshot {
    /// The newest one of a recording.
    pub(super) fn of(recording: &Recording) -> anyhow::Result<Self> {
        let name = Topology::NAME;
        let bytes = attachment(recording, name)?.with_context(|| {
            format!(
                "--create-topology: the recording has no {name}, in which a capture of RabbitMQ keeps what stood there; make exchanges and queues yourself"
            )
        })?;
        let topology = Topology::parse(&bytes).with_context(|| format!("the recording's {name}"))?;
        Ok(Self { bytes, topology })
    }

    /// As it stands in the recording.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes exchanges that the target lacks and the snapshot has for there.
    pub(super) fn plan(&self, plan: &TopicPlan, at_target: &mut [TargetTopic]) {
        for there in at_target.iter_mut().filter(|there| there.partitions.is_none()) {
            let Some(planned) = plan.topics.iter().find(|planned| planned.name == there.name) else { continue };
            let to = &planned.destination;
            // Where the target's URL names the virtual host, all of the source's go into it.
            let mut vhosts = self.topology.vhosts.iter().filter(|vhost| to.vhost.as_ref().is_none_or(|name| *name == vhost.name));
            if vhosts.any(|vhost| vhost.exchanges.iter().any(|exchange| exchange.name == to.name)) {
                there.partitions = Some(1);
            }
        }
    }
}

/// What stood at the source's RabbitMQ: a build that does not speak to it has none.
#[cfg(not(feature = "amqp"))]
pub(super) enum Snapshot {}

#[cfg(not(feature = "amqp"))]
impl Snapshot {
    pub(super) fn of(_: &Recording) -> anyhow::Result<Self> {
        anyhow::bail!("--create-topology: this build of dejaq does not speak to RabbitMQ")
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match *self {}
    }

    pub(super) fn plan(&self, _: &TopicPlan, _: &mut [TargetTopic]) {
        match *self {}
    }
}
