//! What is made durable, a while after it was asked for.

use super::*;

impl World {
    pub(super) fn flush(&mut self, index: usize, generation: u64) -> Outcome<()> {
        let side = Side {
            server: index,
            generation,
        };
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        process.is_flushing = false;
        if process.bug == Some(Bug::AckBeforeFlush) {
            let Some(last) = process.unflushed.back().copied() else {
                self.wants_turn(side);
                return Ok(());
            };
            return self.act(index, generation, |peer, _, out| peer.flushed(last, out));
        }
        if process.bug == Some(Bug::FirstAckIsTheHistorys) {
            self.acknowledge_one_by_one(side);
        }
        let process = self.process(index);
        let flushed = match process.flush() {
            Err(_) if process.bug == Some(Bug::FailedFsyncRetried) && !process.disk.has_crashed() => {
                let last = process.unflushed.back().copied().unwrap_or(process.logged);
                process.log = Some(process.store.log_writer(last));
                process.flush()
            }
            flushed => flushed,
        };
        match flushed {
            Ok(None) => {
                self.wants_turn(side);
                Ok(())
            }
            Ok(Some(last)) => self.act(index, generation, |peer, _, out| peer.flushed(last, out)),
            Err(error) => self.died(index, &error),
        }
    }

    /// Reads what a learner lacks from the log, unless it is too much.
    pub(super) fn read_log(&mut self, side: Side, learner: LearnerId, after: Zxid, until: Zxid) -> Outcome<()> {
        let is_too_much = self.random.once_in(2);
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        let part = if is_too_much {
            Ok(None)
        } else {
            process.log_part(after, until)
        };
        match part {
            Ok(part) => {
                self.report.log_reads += u64::from(part.is_some());
                self.trace(side.server, || {
                    format!("reads the log behind {after}: {}", part.is_some())
                });
                self.act(side.server, side.generation, |peer, now, out| {
                    peer.log_read(learner, part, now, out);
                })
            }
            Err(error) => self.died(side.server, &error),
        }
    }

    pub(super) fn schedule_epoch(&mut self, side: Side, file: EpochFile, epoch: Epoch) {
        let delay = self.random.between(1, 15);
        let role = self.process(side.server).roles;
        self.at(delay, Event::SaveEpoch(side, role, file, epoch));
    }

    pub(super) fn save_epoch(&mut self, side: Side, role: u64, file: EpochFile, epoch: Epoch) -> Outcome<()> {
        let (index, generation) = (side.server, side.generation);
        // What an earlier role wanted and had not begun is not done any more.
        if self.process_of(side).is_none_or(|process| process.roles != role) {
            return Ok(());
        }
        self.trace(index, || format!("saves {file:?} {epoch}"));
        let process = self.process(index);
        let saved = match (process.bug, file) {
            (Some(Bug::EpochNotSaved), EpochFile::Current) => Ok(()),
            (Some(Bug::EpochFilesSwapped), EpochFile::Accepted) => {
                process.wrong.accepted = Some(epoch);
                Ok(())
            }
            (Some(Bug::EpochFilesSwapped), EpochFile::Current) => process.save_epoch(file, epoch).and_then(|()| {
                let accepted = process.wrong.accepted.take();
                accepted.map_or(Ok(()), |accepted| process.save_epoch(EpochFile::Accepted, accepted))
            }),
            _ => process.save_epoch(file, epoch),
        };
        if let Err(error) = saved {
            return self.died(index, &error);
        }
        self.act(index, generation, |peer, now, out| match file {
            EpochFile::Accepted => peer.accepted_epoch_saved(epoch, now, out),
            EpochFile::Current => peer.current_epoch_saved(epoch, now, out),
        })
    }
}
