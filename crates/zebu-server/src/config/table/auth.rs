//! Authentication, authorisation, TLS for clients.

use super::super::sections::{DigestAlgorithm, SuperDigest};
use super::super::value::Set;
use super::PropertyName::{Bare, Prefixed};
use super::{Key, Meaning, flag, not_yet, not_yet_but, nothing, row, used};

const SASL: &str = "there is no SASL, clients that try it stay without a name";
const TLS: &str = "there is no TLS";
const X509: &str = "there is no TLS, so no client has a certificate";

pub(super) static KEYS: &[Key] = &[
    not_yet_but(
        "authProvider.N",
        Prefixed,
        "only world, auth, digest, ip and super are there; no ACL can name another scheme",
        &[
            "org.apache.zookeeper.server.auth.DigestAuthenticationProvider",
            "org.apache.zookeeper.server.auth.IPAuthenticationProvider",
        ],
    ),
    flag("DigestAuthenticationProvider.enabled", Prefixed, |d, on| {
        d.config.auth.digest_enabled = on;
    }),
    used(
        "DigestAuthenticationProvider.superDigest",
        Prefixed,
        Set::Text {
            allowed: "super:DIGEST",
            set: |d, text| {
                // Nobody authenticates as an empty name, so an empty value is none.
                d.config.auth.super_digest = (!text.is_empty()).then(|| SuperDigest::from(text));
                Some(())
            },
        },
    ),
    used(
        "DigestAuthenticationProvider.digestAlg",
        Prefixed,
        Set::Text {
            allowed: "MD5, SHA1, SHA-224, SHA-256, SHA-384 or SHA-512",
            set: |d, name| {
                d.config.auth.digest_algorithm = DigestAlgorithm::by_name(name)?;
                Some(())
            },
        },
    ),
    not_yet("X509AuthenticationProvider.superUser", Prefixed, X509),
    used("superUser", Prefixed, SUPER_USER),
    used("superUser.N", Prefixed, SUPER_USER),
    not_yet("SASLAuthenticationProvider.superPassword", Prefixed, SASL),
    not_yet_but(
        "IPAuthenticationProvider.usexforwardedfor",
        Prefixed,
        "there is no admin server, where it would count",
        &["false"],
    ),
    row(
        "ensembleAuthName",
        Prefixed,
        Meaning::Refused {
            why: "without it clients of another ensemble are let in; remove it to start without that protection",
        },
    ),
    flag("sessionRequireClientSASLAuth", Prefixed, |d, on| {
        d.require_sasl_sessions = on
    }),
    flag("enforce.auth.enabled", Prefixed, |d, on| d.enforce_auth = on),
    used(
        "enforce.auth.schemes",
        Prefixed,
        Set::Text {
            allowed: "schemes between commas",
            set: |d, list| {
                let schemes = list.split(',').map(str::trim).filter(|scheme| !scheme.is_empty());
                d.enforced_schemes = schemes.map(str::to_owned).collect();
                Some(())
            },
        },
    ),
    flag("allowSaslFailedClients", Prefixed, |d, on| {
        d.config.auth.allow_sasl_failed_clients = on
    }),
    not_yet("letAnySaslUserDoX", Prefixed, SASL),
    used(
        "skipACL",
        Prefixed,
        Set::Word {
            word: "yes",
            otherwise: "no",
            set: |d, on| d.config.auth.skip_acl = on,
        },
    ),
    nothing(
        "enableEagerACLCheck",
        Prefixed,
        "a server alone checks every request once, as on Java",
    ),
    not_yet("sasl.serverconfig", Prefixed, SASL),
    not_yet("java.security.auth.login.config", Bare, SASL),
    not_yet("kerberos.removeHostFromPrincipal", Prefixed, SASL),
    not_yet("kerberos.removeRealmFromPrincipal", Prefixed, SASL),
    not_yet("kerberos.canonicalizeHostNames", Prefixed, SASL),
    not_yet("kerberos.minReLoginTimeMs", Prefixed, SASL),
    not_yet("requireKerberosConfig", Prefixed, SASL),
    not_yet("security.auth_to_local", Prefixed, SASL),
    not_yet("kinit", Prefixed, SASL),
    nothing("requireClientAuthScheme", Prefixed, NEVER),
    nothing("jaasLoginRenew", Prefixed, NEVER),
    // TLS. The port itself is refused; what only describes it does no harm.
    not_yet_but("fips-mode", Prefixed, TLS, &["true", "false"]),
    not_yet_but("client.portUnification", Prefixed, TLS, &["false"]),
    not_yet_but("client.certReload", Prefixed, TLS, &["false"]),
    not_yet("ssl.authProvider", Prefixed, TLS),
    nothing(
        "ssl.sslProvider",
        Prefixed,
        "it chooses between implementations for Java",
    ),
    nothing(
        "jdk.tls.rejectClientInitiatedRenegotiation",
        Bare,
        "it is a switch of Java's TLS",
    ),
    not_yet("ssl.protocol", Prefixed, TLS),
    not_yet("ssl.enabledProtocols", Prefixed, TLS),
    not_yet("ssl.ciphersuites", Prefixed, TLS),
    not_yet("ssl.keyStore.location", Prefixed, TLS),
    not_yet("ssl.keyStore.password", Prefixed, TLS),
    not_yet("ssl.keyStore.passwordPath", Prefixed, TLS),
    not_yet("ssl.keyStore.type", Prefixed, TLS),
    not_yet("ssl.trustStore.location", Prefixed, TLS),
    not_yet("ssl.trustStore.password", Prefixed, TLS),
    not_yet("ssl.trustStore.passwordPath", Prefixed, TLS),
    not_yet("ssl.trustStore.type", Prefixed, TLS),
    not_yet("ssl.context.supplier.class", Prefixed, TLS),
    not_yet("ssl.hostnameVerification", Prefixed, TLS),
    not_yet("ssl.clientHostnameVerification", Prefixed, TLS),
    not_yet("ssl.allowReverseDnsLookup", Prefixed, TLS),
    not_yet("ssl.crl", Prefixed, TLS),
    not_yet("ssl.ocsp", Prefixed, TLS),
    not_yet("ssl.clientAuth", Prefixed, TLS),
    not_yet("ssl.handshakeDetectionTimeoutMillis", Prefixed, TLS),
];

/// Found in many files, from a draft of the SASL support that was never released.
const NEVER: &str = "no ZooKeeper server has ever read it";

const SUPER_USER: Set = Set::Text {
    allowed: "a name",
    set: |d, name| {
        d.config
            .auth
            .super_users
            .extend((!name.is_empty()).then(|| name.to_owned()));
        Some(())
    },
};
