//! The ensemble changes: files, ports and addresses follow, and the node thread hears of it.

use std::net::ToSocketAddrs;
use std::sync::Arc;

use zebu_node::{Membership, NodeRole};
use zebu_proto::Sid;
use zebu_proto::quorum::{HostPort, MemberAddress, QuorumConfig};

use super::state::election_addresses;
use crate::config::{Listen, dynamic_files};
use crate::exit::{ExitCode, Fatal};
use crate::node_thread::NodeThread;
use crate::server::{self, StartError};
use crate::shared::CurrentMembership;

/// Where to listen for clients that are told this address.
fn resolved(address: &HostPort) -> Result<Listen, StartError> {
    if address.is_wildcard() {
        return Ok(Listen {
            host: None,
            port: address.port,
        });
    }
    let unknown = |error: std::io::Error| StartError::Config(format!("{address}: {error}"));
    let mut found = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(unknown)?;
    let first = found
        .next()
        .ok_or_else(|| StartError::Config(format!("{address} has no address")))?;
    Ok(Listen {
        host: Some(first.ip()),
        port: address.port,
    })
}

impl NodeThread {
    /// A configuration was proposed last: it is on disk before anything that comes later is.
    pub(super) fn config_seen(&mut self, config: &QuorumConfig) {
        let Some(ensemble) = &self.ensemble else { return };
        let is_committed = config.version <= ensemble.peer.members().committed().version;
        if let Some(file) = &self.shared.config.file {
            let kept = if is_committed {
                dynamic_files::remove_next(file)
            } else {
                dynamic_files::write_next(file, config)
            };
            if let Err(error) = kept {
                return self.fail_to_keep(&error);
            }
        }
        ensemble
            .election
            .set_others(election_addresses(ensemble.peer.members()));
    }

    /// A configuration is in force.
    ///
    /// Source: `QuorumPeer.processReconfig`, `setQuorumVerifier`.
    pub(super) fn config_activated(&mut self, config: &Arc<QuorumConfig>) {
        // The client that asked for it may be served by this server no longer than until here.
        self.commit();
        let Some(ensemble) = &mut self.ensemble else { return };
        tracing::info!(version = %config.version, members = ?config.members.keys().map(|sid| sid.0).collect::<Vec<_>>(), "a configuration is in force");
        ensemble.config_text = config.to_string().into_bytes();
        let members = ensemble.peer.members();
        ensemble.election.set_others(election_addresses(members));
        let is_changing = members.is_changing();
        *self.shared.membership.write() = CurrentMembership {
            config: config.clone(),
            is_observer: ensemble.peer.is_observer(),
        };
        let own = ensemble.sid;
        if let Some(file) = &self.shared.config.file {
            let kept = dynamic_files::write_committed(file, config, own).and_then(|()| {
                if is_changing {
                    Ok(())
                } else {
                    dynamic_files::remove_next(file)
                }
            });
            if let Err(error) = kept {
                return self.fail_to_keep(&error);
            }
        }
        self.move_election_port(config, own);
        self.move_client_port(config, own);
    }

    /// A server that forgets who belongs to its ensemble could make two of it.
    fn fail_to_keep(&self, error: &std::io::Error) {
        self.shared.fail(Fatal {
            code: ExitCode::DataDirectory,
            message: format!(
                "the list of servers cannot be kept beside the configuration file: {error}; make the folder writable and start again"
            ),
        });
    }

    fn move_election_port(&mut self, config: &QuorumConfig, own: Sid) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let Some(member) = config.members.get(&own) else { return };
        let election = |addresses: &[MemberAddress]| addresses.iter().map(MemberAddress::election).collect::<Vec<_>>();
        let wanted = election(&member.addresses);
        let is_other = wanted != election(&ensemble.own_addresses);
        ensemble.own_addresses = member.addresses.clone();
        if is_other && let Err(error) = ensemble.election.move_to(&wanted) {
            tracing::error!(%error, "the election port stays where it was, where others do not look for it; make the address available and restart this server");
        }
    }

    fn move_client_port(&mut self, config: &QuorumConfig, own: Sid) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let Some(wanted) = config.members.get(&own).and_then(|member| member.client.clone()) else {
            return;
        };
        let there = ensemble.client_listen;
        let moved = resolved(&wanted).and_then(|listen| {
            // Who listens everywhere need not listen at one address.
            if listen.port == there.port && (there.host.is_none() || there.host == listen.host) {
                return Ok(());
            }
            let listener = server::bind(listen, self.shared.config.client_port_listen_backlog)?;
            tracing::info!(address = %wanted, "clients are served at another address from now on");
            self.shared.new_client_port.put(listener);
            ensemble.client_listen = listen;
            Ok(())
        });
        if let Err(error) = moved {
            tracing::error!(%error, address = %wanted, "the client port stays where it was; make the new address available and restart this server");
        }
    }

    /// What another server says on the election port about the configuration in force, if that is newer than what is known
    /// here. Servers that neither this one's nor that configuration has are not believed.
    pub(super) fn newer_config(&self, from: Sid, text: Option<&[u8]>) -> Option<Arc<QuorumConfig>> {
        let ensemble = self.ensemble.as_ref()?;
        let members = ensemble.peer.members();
        let text = text.filter(|text| members.is_dynamic() && *text != ensemble.config_text.as_slice())?;
        let config = match QuorumConfig::from_bytes(text) {
            Ok(config) => config,
            Err(error) => {
                tracing::warn!(sid = %from, %error, "a notification on the election port has a configuration that cannot be read");
                return None;
            }
        };
        let is_known = members.committed().members.contains_key(&from) || config.members.contains_key(&from);
        (is_known && config.version > members.committed().version).then(|| Arc::new(config))
    }

    /// Tells the node what it has to know to judge changes, whenever that is new.
    pub(super) fn tell_membership(&mut self) {
        let Some(ensemble) = &mut self.ensemble else { return };
        let Some(leader) = ensemble.peer.as_leader() else {
            return;
        };
        let state = (ensemble.role, leader.membership_number());
        if self.node.role() != NodeRole::Leading || ensemble.told_membership == Some(state) {
            return;
        }
        ensemble.told_membership = Some(state);
        let synced = leader.synced().filter(|(_, is_observer)| !is_observer);
        self.node.set_membership(Membership {
            last_seen: leader.members().last_seen().clone(),
            is_changing: leader.members().is_changing(),
            synced: synced.map(|(sid, _)| sid).chain([ensemble.sid]).collect(),
        });
    }

    /// Says why changes were refused.
    pub(super) fn tell_refusal(&mut self) {
        if let Some(refusal) = self.node.take_refusal() {
            tracing::warn!(error = ?refusal.error, why = refusal.why, "a change of the ensemble is refused");
        }
    }
}
