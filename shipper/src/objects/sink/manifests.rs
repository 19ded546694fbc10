//! What was delivered is listed, and lists become manifests.

use super::{Alarm, Command, Ended, ObjectSink, Work};
use crate::{
    objects::{
        lists::{Delivery, Due},
        manifest,
        store::Same,
        watch::Moment,
    },
    spool::chain::ChainId,
    steps::Step,
};
use bytes::Bytes;

impl ObjectSink {
    /// A stream goes on behind what is delivered or lost, and its chain lists that: in one write.
    pub(super) async fn list(
        &mut self,
        delivery: Delivery,
        key: Option<String>,
        work: &mut Work,
    ) -> Result<(), Ended> {
        loop {
            let planner = &work.planner;
            let due = work.lists.in_the_way(&delivery, |id, hour| planner.pends(id, hour));
            let Some(due) = due else { break };
            self.tell(due, work).await?;
        }
        let end = (delivery.stream, delivery.end);
        let chain = work.lists.with(delivery);
        self.decide(Command::Deliver { end, key, chain: chain.clone() }).await?;
        work.lists.keep(chain);
        Ok(())
    }

    /// Makes the manifests that are due: first those that an earlier start had decided on.
    pub(super) async fn tell_what_is_due(&mut self, work: &mut Work) -> Result<(), Ended> {
        self.look_at_the_clock(work);
        for id in work.lists.unfinished() {
            self.make_manifest(&id, work).await?;
        }
        loop {
            let planner = &work.planner;
            let due = work.lists.poll(|id, hour| planner.pends(id, hour));
            let Some(due) = due else { return Ok(()) };
            self.tell(due, work).await?;
        }
    }

    /// Makes the last manifest of each chain: all that was accepted is delivered.
    pub(super) async fn tell_all(&mut self, work: &mut Work) -> Result<(), Ended> {
        while let Some(due) = work.lists.poll_last() {
            self.tell(due, work).await?;
        }
        Ok(())
    }

    /// Whether everything that the spool had taken at some moment is here by now.
    fn look_at_the_clock(&self, work: &mut Work) {
        let deliveries = &self.counters.deliveries;
        let taken = deliveries.taken.read() + deliveries.quarantined_missing.read();
        if let Some((at, events)) = work.watch.awaited
            && taken >= events
        {
            work.lists.catch_up(at);
            work.watch.awaited = None;
        }
        // While the disk takes nothing, rings may hold what nobody knows of.
        let is_stuck = self.alarms.state(Alarm::SpoolDisk).0;
        if work.watch.awaited.is_none() && !is_stuck {
            let events = deliveries.backlog.read() + self.spool_counters.drained_events();
            work.watch.awaited = Some((work.watch.unix_ms(Moment::now()), events));
        }
    }

    async fn tell(&mut self, due: Due, work: &mut Work) -> Result<(), Ended> {
        if due.is_last() && !work.lists.is_own(&due.id) {
            self.look_behind(due.id, due.hour, work).await?;
        }
        let Some(chain) = work.lists.sealed(due) else { return Ok(()) };
        self.decide(Command::Chain(chain.clone())).await?;
        Step::ManifestSealed.pass();
        work.lists.keep(chain);
        self.make_manifest(&due.id, work).await
    }

    /// Makes the manifest of a sealed list exist, and the cursor say so.
    async fn make_manifest(&mut self, id: &ChainId, work: &mut Work) -> Result<(), Ended> {
        let Some(manifest) = work.lists.manifest(id) else { return Ok(()) };
        let Some(place) = manifest.place() else { return Ok(()) };
        let bytes = manifest.bytes();
        let digest = manifest::digest(&bytes);
        let key = place.key();
        self.put(&key, &digest, Bytes::from(bytes), Same::Bytes).await?;
        Step::ManifestAnswered.pass();
        self.counters.manifests.add(1);
        tracing::info!(key, objects = manifest.objects.len(), "manifest written");
        if manifest.last {
            self.decide(Command::EndChain(*id)).await?;
            work.lists.end(id);
            return Ok(());
        }
        let Some(chain) = work.lists.linked(id, digest) else { return Ok(()) };
        self.decide(Command::Chain(chain.clone())).await?;
        work.lists.keep(chain);
        Ok(())
    }
}
