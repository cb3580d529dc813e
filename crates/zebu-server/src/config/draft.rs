//! Putting the settings together, and the checks of values against one another.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use zebu_proto::Sid;
use zebu_proto::properties::{self, Pair};
use zebu_proto::quorum::{ConfigVersion, HostPort, QuorumConfig, Role};

use super::Config;
use super::dynamic_files;
use super::error::ConfigError;
use super::notice::{Notice, NoticeKind, Place};
use super::sections::Listen;
use super::settings::{Setting, Settings};
use super::system::SystemProperties;
use super::table::Meaning;
use super::words::FourLetterWords;

/// How long a file of configuration may be. Real ones have a few KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A configuration in the making: what is not decided before all lines are read stands beside it.
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) notices: Vec<Notice>,
    pub(super) client_port: Option<u16>,
    pub(super) client_host: Option<String>,
    pub(super) secure_port: Option<u16>,
    pub(super) secure_host: Option<String>,
    pub(super) min_session_timeout_ms: Option<u32>,
    pub(super) max_session_timeout_ms: Option<u32>,
    pub(super) jute_extra_bytes: Option<u32>,
    pub(super) max_write_queue_poll_time_ms: Option<u64>,
    pub(super) enforce_auth: bool,
    pub(super) enforced_schemes: Vec<String>,
    pub(super) require_sasl_sessions: bool,
    pub(super) quorum_sasl: QuorumSasl,
    data_dir: Option<PathBuf>,
    data_log_dir: Option<PathBuf>,
    strange_words: Vec<String>,
}

/// SASL between servers (`quorum.auth.*`).
#[derive(Default)]
pub(super) struct QuorumSasl {
    pub(super) enabled: bool,
    pub(super) server_requires: bool,
    pub(super) learner_requires: bool,
}

/// See [`Config::load`].
pub(super) fn load(path: Option<&Path>, properties: &SystemProperties) -> Result<(Config, Vec<Notice>), ConfigError> {
    let (draft, settings) = read(path, properties)?;
    refuse_what_is_missing(&draft, &settings)?;
    Ok((draft.config, draft.notices))
}

/// Reads and checks everything, without a look at what zebu can do.
pub(super) fn read(path: Option<&Path>, properties: &SystemProperties) -> Result<(Draft, Settings), ConfigError> {
    let mut notices = properties.notices().to_vec();
    let pairs = path.map(|path| read_file(path, &mut notices)).transpose()?;
    let settings = Settings::collect(properties, path.zip(pairs.as_deref()), &mut notices);
    let base = if path.is_some() {
        Config::java_defaults()
    } else {
        Config::default()
    };
    let mut draft = Draft::new(base, notices);
    draft.config.file = path.map(Path::to_owned);
    for (_, setting) in settings.in_order() {
        if let Meaning::Used(set) = &setting.row.meaning {
            set.apply(&mut draft, setting)?;
        }
    }
    draft.finish(&settings)?;
    draft.notices.sort_by_key(|notice| match &notice.place {
        Place::File { line, .. } => *line,
        Place::Variable(_) | Place::Argument | Place::Default => 0,
    });
    Ok((draft, settings))
}

impl Draft {
    fn new(config: Config, notices: Vec<Notice>) -> Self {
        Self {
            notices,
            client_port: config.client.map(|listen| listen.port),
            client_host: None,
            secure_port: None,
            secure_host: None,
            min_session_timeout_ms: None,
            max_session_timeout_ms: None,
            jute_extra_bytes: None,
            max_write_queue_poll_time_ms: None,
            enforce_auth: false,
            enforced_schemes: Vec::new(),
            require_sasl_sessions: false,
            quorum_sasl: QuorumSasl::default(),
            data_dir: None,
            data_log_dir: None,
            strange_words: Vec::new(),
            config,
        }
    }

    pub(super) fn set_data_dir(&mut self, path: &str) -> Option<()> {
        self.data_dir = Some(PathBuf::from(path));
        (!path.is_empty()).then_some(())
    }

    pub(super) fn set_data_log_dir(&mut self, path: &str) -> Option<()> {
        self.data_log_dir = Some(PathBuf::from(path));
        (!path.is_empty()).then_some(())
    }

    pub(super) fn set_four_letter_words(&mut self, list: &str) {
        (self.config.four_letter_words, self.strange_words) = FourLetterWords::from_list(list);
    }

    /// Says that another value than the one written is used.
    pub(super) fn correct(&mut self, setting: &Setting, used: &dyn ToString, why: &'static str) {
        self.notices.push(Notice::new(
            &setting.place,
            NoticeKind::Corrected {
                key: setting.row.name,
                value: setting.value.clone(),
                used: used.to_string(),
                why,
            },
        ));
    }

    fn finish(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        self.finish_directories(settings)?;
        self.finish_timeouts(settings)?;
        self.config.client = listen(
            ["clientPort", "clientPortAddress"],
            self.client_port,
            self.client_host.as_deref(),
            settings,
        )?;
        self.config.secure_client = listen(
            ["secureClientPort", "secureClientPortAddress"],
            self.secure_port,
            self.secure_host.as_deref(),
            settings,
        )?;
        self.finish_derived(settings);
        self.finish_auth(settings)?;
        self.check_quorum_sasl(settings)?;
        self.finish_membership(settings)?;
        self.finish_server_id(settings)?;
        self.finish_role(settings);
        self.check_ensemble(settings)?;
        Ok(())
    }

    /// Both directories; the log's is the data's unless it is named.
    ///
    /// Source: `QuorumPeerConfig.parseProperties`, `VerifyingFileFactory`.
    fn finish_directories(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        for key in ["dataDir", "dataLogDir"] {
            if let Some(setting) = settings.get(key)
                && !Path::new(&setting.value).is_absolute()
                && !setting.value.starts_with("./")
            {
                let kind = NoticeKind::RelativePath { key: setting.row.name };
                self.notices.push(Notice::new(&setting.place, kind));
            }
        }
        match self.data_dir.take() {
            Some(data_dir) => self.config.data_dir = data_dir,
            None if self.config.file.is_some() => {
                return Err(self.missing("dataDir", "a server needs to know where its data is"));
            }
            None => {}
        }
        self.config.data_log_dir = self.data_log_dir.take().unwrap_or_else(|| self.config.data_dir.clone());
        Ok(())
    }

    /// Session timeouts: 2 and 20 ticks unless they are given.
    fn finish_timeouts(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        let tick_time_ms = self.config.tick_time_ms;
        let min_ms = self.min_session_timeout_ms.unwrap_or(tick_time_ms * 2);
        let max_ms = self.max_session_timeout_ms.unwrap_or(tick_time_ms * 20);
        if min_ms > max_ms {
            let of_ticks = |given: Option<u32>| if given.is_some() { "" } else { ", from tickTime" };
            let (key, allowed) = match self.min_session_timeout_ms {
                Some(_) => {
                    let source = of_ticks(self.max_session_timeout_ms);
                    (
                        "minSessionTimeout",
                        format!("up to {max_ms} (maxSessionTimeout{source})"),
                    )
                }
                None => {
                    let source = of_ticks(None);
                    (
                        "maxSessionTimeout",
                        format!("{min_ms} (minSessionTimeout{source}) or more"),
                    )
                }
            };
            return Err(beside(settings, key, allowed));
        }
        self.config.sessions.min_timeout_ms = min_ms;
        self.config.sessions.max_timeout_ms = max_ms;
        Ok(())
    }

    /// Values that follow from others, and corrections that Java makes.
    fn finish_derived(&mut self, settings: &Settings) {
        let limits = &mut self.config.limits;
        // Source: BinaryInputArchive. 1024 was the fixed number of older releases.
        limits.jute_extra_bytes = self.jute_extra_bytes.unwrap_or(limits.jute_max_buffer_bytes).max(1024);
        let storage = &mut self.config.storage;
        let flush_delay_ms = storage.flush_delay_ms.map_or(0, std::num::NonZeroU64::get);
        storage.max_write_queue_poll_time_ms = self.max_write_queue_poll_time_ms.unwrap_or(flush_delay_ms / 3);
        if self.config.read_only_mode {
            self.config.four_letter_words.allow_isro();
        }
        for word in std::mem::take(&mut self.strange_words) {
            let place = settings.place("4lw.commands.whitelist");
            self.notices.push(Notice::new(&place, NoticeKind::NoSuchWord { word }));
        }
        // Source: BlueThrottle.
        let local = self.config.connection_throttle.local_session_weight;
        for (key, renew) in [
            ("connection_throttle_global_session_weight", false),
            ("connection_throttle_renew_session_weight", true),
        ] {
            let throttle = &mut self.config.connection_throttle;
            let weight = if renew {
                &mut throttle.renew_session_weight
            } else {
                &mut throttle.global_session_weight
            };
            if *weight < local {
                let given = std::mem::replace(weight, local);
                self.notices.push(Notice {
                    place: settings.place(key),
                    kind: NoticeKind::Corrected {
                        key,
                        value: given.to_string(),
                        used: local.to_string(),
                        why: "a local session must not cost more",
                    },
                });
            }
        }
    }

    /// Source: `AuthenticationHelper`.
    fn finish_auth(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        if !self.enforce_auth || self.require_sasl_sessions {
            return Ok(());
        }
        let schemes = std::mem::take(&mut self.enforced_schemes);
        if schemes.is_empty() {
            return Err(beside(
                settings,
                "enforce.auth.enabled",
                "false, or true with a list of schemes in enforce.auth.schemes".to_owned(),
            ));
        }
        let digest = self.config.auth.digest_enabled;
        let possible = |scheme: &str| match scheme {
            "digest" => digest,
            "ip" | "sasl" | "x509" => true,
            _ => false,
        };
        if !schemes.iter().all(|scheme| possible(scheme)) {
            return Err(beside(
                settings,
                "enforce.auth.schemes",
                "digest (if it is enabled), ip".to_owned(),
            ));
        }
        self.config.auth.enforced_schemes = Some(schemes);
        Ok(())
    }

    /// Source: the end of `QuorumPeerConfig.parseProperties`.
    fn check_quorum_sasl(&self, settings: &Settings) -> Result<(), ConfigError> {
        let QuorumSasl {
            enabled,
            server_requires,
            learner_requires,
        } = self.quorum_sasl;
        let needs = |key, needed: &str| Err(beside(settings, key, format!("false, or true with {needed}=true")));
        if server_requires && !enabled {
            return needs("quorum.auth.serverRequireSasl", "quorum.auth.enableSasl");
        }
        if learner_requires && !enabled {
            return needs("quorum.auth.learnerRequireSasl", "quorum.auth.enableSasl");
        }
        if server_requires && !learner_requires {
            return needs("quorum.auth.serverRequireSasl", "quorum.auth.learnerRequireSasl");
        }
        Ok(())
    }

    /// The list of servers, from `zoo.cfg` or from the dynamic file that it names.
    fn finish_membership(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        let several = self.config.ensemble.multi_address;
        let mut membership = QuorumConfig::default();
        let dynamic_file = self.config.ensemble.dynamic_config_file.clone();
        for (key, setting) in settings.in_order() {
            if matches!(setting.row.meaning, Meaning::Membership) {
                if dynamic_file.is_some() && key != "version" {
                    return Err(setting.refuse("nothing, since dynamicConfigFile is to hold it"));
                }
                add_line(&mut membership, key, &setting.value, several).map_err(|allowed| setting.refuse(allowed))?;
            }
        }
        if let Some(path) = &dynamic_file {
            for pair in read_file(path, &mut self.notices)? {
                add_dynamic_line(&mut membership, path, &pair, several)?;
            }
            membership.version = version_of(path);
        }
        let standalone_enabled = self.config.ensemble.standalone_enabled;
        membership
            .check(standalone_enabled)
            .map_err(|why| ConfigError::Membership {
                path: dynamic_file.or_else(|| self.config.file.clone()).unwrap_or_default(),
                why,
            })?;
        self.config.ensemble.membership = membership;
        if self.config.ensemble.reconfig_enabled
            && let Some(file) = &self.config.file
        {
            let path = dynamic_files::next(file);
            if path.exists() {
                self.config.ensemble.last_seen = Some(read_next(&path, several, &mut self.notices)?);
            }
        }
        Ok(())
    }

    /// `myid`, and what the line of that server says about this one.
    ///
    /// Source: `QuorumPeerConfig.setupMyId`, `setupClientPort`.
    fn finish_server_id(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        let Some(sid) = read_my_id(&self.config.data_dir)? else {
            return Ok(());
        };
        self.config.server_id = Some(sid);
        let Some(own) = self.config.ensemble.membership.members.get(&sid).cloned() else {
            return Ok(());
        };
        let key = format!("server.{sid}");
        self.config.client = own_listen(self.config.client, own.client.as_ref(), settings, &key)?;
        self.config.secure_client = own_listen(self.config.secure_client, own.secure_client.as_ref(), settings, &key)?;
        Ok(())
    }

    /// What this server takes part in: an observer is one that is listed as such, whatever `peerType` says.
    ///
    /// Source: `QuorumPeerConfig.setupPeerType`.
    fn finish_role(&mut self, settings: &Settings) {
        let ensemble = &mut self.config.ensemble;
        let own = self
            .config
            .server_id
            .and_then(|sid| ensemble.membership.members.get(&sid));
        let role = own.map_or(Role::Participant, |own| own.role);
        if std::mem::replace(&mut ensemble.role, role) != role
            && let Some(setting) = settings.get("peerType")
        {
            let used = role.name();
            self.notices
                .push(Notice::new(&setting.place, NoticeKind::RoleDiffers { used }));
        }
    }

    /// What a server alone, and what a member of an ensemble needs. A member may have no port for clients.
    ///
    /// Source: `QuorumPeerConfig.checkValidity`, `SessionTrackerImpl`.
    fn check_ensemble(&mut self, settings: &Settings) -> Result<(), ConfigError> {
        let config = &self.config;
        if !config.is_distributed() {
            if config.client.is_none() && config.secure_client.is_none() {
                return Err(self.missing("clientPort", "without a port nobody can connect"));
            }
            return Ok(());
        }
        if config.ensemble.init_limit_ticks.is_none() {
            return Err(self.missing("initLimit", "an ensemble needs it"));
        }
        if config.ensemble.sync_limit_ticks.is_none() {
            return Err(self.missing("syncLimit", "an ensemble needs it"));
        }
        let Some(sid) = config.server_id else {
            return Err(ConfigError::Missing {
                path: config.data_dir.clone(),
                key: "myid",
                why: "a server of an ensemble has its number in this file",
            });
        };
        // TTL nodes keep part of the server's number in a byte of which 255 has another meaning.
        if config.znodes.extended_types && sid > Sid(254) {
            return Err(beside(
                settings,
                "extendedTypesEnabled",
                format!("false, or a server id up to 254 in place of {sid}"),
            ));
        }
        let count = config.ensemble.membership.participants().count();
        let why = match count {
            0..=2 => Some("no server may fail; three are the least that is safe"),
            _ if count.is_multiple_of(2) => Some("one less tolerates as many failures"),
            _ => None,
        };
        if let Some(why) = why {
            self.notices
                .push(Notice::new(&Place::Default, NoticeKind::Voters { count, why }));
        }
        Ok(())
    }

    fn missing(&self, key: &'static str, why: &'static str) -> ConfigError {
        ConfigError::Missing {
            path: self.config.file.clone().unwrap_or_default(),
            key,
            why,
        }
    }
}

/// Refuses what zebu cannot do yet where going on without it is not what the file asks for.
fn refuse_what_is_missing(draft: &Draft, settings: &Settings) -> Result<(), ConfigError> {
    for (key, setting) in settings.in_order() {
        let on = setting.value.eq_ignore_ascii_case("true");
        match (&setting.row.meaning, key) {
            (Meaning::Refused { why }, _) if !setting.value.is_empty() => {
                return Err(setting.not_supported(why));
            }
            (_, "secureClientPort") => {
                return Err(setting.not_supported("there is no TLS; remove the line to serve without it"));
            }
            (_, "sessionRequireClientSASLAuth") if on => {
                return Err(setting.not_supported("there is no SASL, so no client could start a session"));
            }
            _ => {}
        }
    }
    let schemes = draft.config.auth.enforced_schemes.iter().flatten();
    if let Some(scheme) = schemes
        .into_iter()
        .find(|scheme| ["sasl", "x509"].contains(&scheme.as_str()))
    {
        return Err(ConfigError::NotSupported {
            place: settings.place("enforce.auth.schemes"),
            key: format!("the scheme {scheme} in enforce.auth.schemes"),
            why: "no client could pass it",
        });
    }
    if draft.config.secure_client.is_some() {
        return Err(ConfigError::NotSupported {
            place: own_line_place(draft, settings),
            key: "a secure client port".to_owned(),
            why: "there is no TLS; remove the part after the second ; to serve without it",
        });
    }
    Ok(())
}

/// The line of this server, the dynamic file, or nothing.
fn own_line_place(draft: &Draft, settings: &Settings) -> Place {
    let sid = draft.config.server_id.unwrap_or_default();
    match &draft.config.ensemble.dynamic_config_file {
        Some(path) => Place::File {
            path: path.clone(),
            line: 1,
        },
        None => settings.place(&format!("server.{sid}")),
    }
}

/// The error that the value of `key` does not fit beside others.
fn beside(settings: &Settings, key: &str, allowed: String) -> ConfigError {
    match settings.get(key) {
        Some(setting) => setting.refuse(allowed),
        None => ConfigError::Value {
            place: Place::Default,
            key: key.to_owned(),
            value: String::new(),
            allowed,
        },
    }
}

/// The pairs of a file.
fn read_file(path: &Path, notices: &mut Vec<Notice>) -> Result<Vec<Pair>, ConfigError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(ConfigError::TooLong {
            path: path.to_owned(),
            max_bytes: FILE_BYTES_MAX,
        });
    }
    let at = |line| Place::File {
        path: path.to_owned(),
        line,
    };
    let (text, latin_1) = properties::decode(bytes);
    if latin_1 {
        notices.push(Notice::new(&at(1), NoticeKind::Latin1));
    }
    properties::parse(&text).map_err(|bad| ConfigError::Escape { place: at(bad.line) })
}

/// Takes one line of the list of servers. The error says what is allowed.
fn add_line(membership: &mut QuorumConfig, key: &str, value: &str, several_addresses: bool) -> Result<(), String> {
    if !several_addresses && key.starts_with("server.") && value.contains('|') {
        return Err("one address, unless multiAddress.enabled=true".to_owned());
    }
    membership.add(key, value)
}

/// Takes one line of the dynamic file, which may hold the list of servers and nothing else. Its version is in its name.
fn add_dynamic_line(membership: &mut QuorumConfig, path: &Path, pair: &Pair, several: bool) -> Result<(), ConfigError> {
    let refuse = |allowed: String| ConfigError::Value {
        place: Place::File {
            path: path.to_owned(),
            line: pair.line,
        },
        key: pair.key.clone(),
        value: pair.value.clone(),
        allowed,
    };
    match pair.key.split_once('.') {
        Some(("server" | "group" | "weight", _)) => {
            add_line(membership, &pair.key, &pair.value, several).map_err(refuse)
        }
        _ if pair.key == "version" => Err(refuse("the version at the end of the file's name only".to_owned())),
        _ => Err(refuse("server.N, group.N and weight.N in this file".to_owned())),
    }
}

/// A change that is not known to be committed: the list of servers with its version.
fn read_next(path: &Path, several: bool, notices: &mut Vec<Notice>) -> Result<QuorumConfig, ConfigError> {
    let mut membership = QuorumConfig::default();
    for pair in read_file(path, notices)? {
        match pair.key.as_str() {
            "version" => membership
                .add(&pair.key, &pair.value)
                .map_err(|allowed| ConfigError::Value {
                    place: Place::File {
                        path: path.to_owned(),
                        line: pair.line,
                    },
                    key: pair.key.clone(),
                    value: pair.value.clone(),
                    allowed,
                })?,
            _ => add_dynamic_line(&mut membership, path, &pair, several)?,
        }
    }
    membership.check_groups().map_err(|why| ConfigError::Membership {
        path: path.to_owned(),
        why,
    })?;
    Ok(membership)
}

/// The hexadecimal number after the last point of a dynamic file's name; 0 if there is none.
///
/// Source: `QuorumPeerConfig.getVersionFromFilename`.
fn version_of(path: &Path) -> ConfigVersion {
    let version = path.extension().and_then(|version| version.to_str());
    version.and_then(ConfigVersion::parse).unwrap_or_default()
}

/// The number in the first line of `myid`, if there is that file.
fn read_my_id(data_dir: &Path) -> Result<Option<Sid>, ConfigError> {
    /// More digits than any number has.
    const BYTES_MAX: u64 = 64;
    let path = data_dir.join("myid");
    if !path.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?;
    let text = String::from_utf8_lossy(&bytes);
    let content = text.lines().next().unwrap_or_default().trim();
    match content.parse() {
        Ok(sid) if sid >= 0 => Ok(Some(Sid(sid))),
        Ok(_) | Err(_) => Err(ConfigError::MyId {
            path,
            content: content.to_owned(),
        }),
    }
}

/// Where to listen, from a port and an address.
///
/// Source: `QuorumPeerConfig.parseProperties`.
fn listen(
    [port_key, host_key]: [&'static str; 2],
    port: Option<u16>,
    host: Option<&str>,
    settings: &Settings,
) -> Result<Option<Listen>, ConfigError> {
    match (port, host) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(beside(settings, host_key, format!("an address beside {port_key}"))),
        (Some(port), None) => Ok(Some(Listen { host: None, port })),
        (Some(port), Some(host)) => {
            let address = resolve(host).map_err(|source| ConfigError::Address {
                place: settings.place(host_key),
                key: host_key.to_owned(),
                host: host.to_owned(),
                source,
            })?;
            Ok(Some(Listen {
                host: Some(address),
                port,
            }))
        }
    }
}

/// Where to listen when this server's own line says it, too: they must agree, and the line counts.
fn own_listen(
    listen: Option<Listen>,
    own: Option<&HostPort>,
    settings: &Settings,
    key: &str,
) -> Result<Option<Listen>, ConfigError> {
    let Some(own) = own else { return Ok(listen) };
    let address = resolve(&own.host).map_err(|source| ConfigError::Address {
        place: settings.place(key),
        key: key.to_owned(),
        host: own.host.clone(),
        source,
    })?;
    if let Some(listen) = listen {
        let interface = listen.host.filter(|host| !host.is_unspecified());
        if listen.port != own.port || interface.is_some_and(|host| host != address) {
            return Err(beside(
                settings,
                key,
                format!("{listen} after the ;, as the client port says, or nothing"),
            ));
        }
    }
    Ok(Some(Listen {
        host: Some(address).filter(|address| !address.is_unspecified()),
        port: own.port,
    }))
}

/// The address of a host: the first of version 4, as Java prefers it, or else the first.
fn resolve(host: &str) -> std::io::Result<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let addresses: Vec<_> = (bare, 0).to_socket_addrs()?.map(|address| address.ip()).collect();
    let four = addresses.iter().find(|address| address.is_ipv4());
    four.or(addresses.first())
        .copied()
        .ok_or_else(|| std::io::ErrorKind::NotFound.into())
}
