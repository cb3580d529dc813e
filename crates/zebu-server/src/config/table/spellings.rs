//! Names from ZooKeeper's documentation that its server does not read: they are those of its JMX attributes.

use super::PropertyName::Prefixed;
use super::{Key, Meaning, row};

const fn dead(name: &'static str, working: &'static str) -> Key {
    row(name, Prefixed, Meaning::DeadSpelling(working))
}

pub(super) static KEYS: &[Key] = &[
    dead("connectionMaxTokens", "connection_throttle_tokens"),
    dead("connectionTokenFillTime", "connection_throttle_fill_time"),
    dead("connectionTokenFillCount", "connection_throttle_fill_count"),
    dead("connectionFreezeTime", "connection_throttle_freeze_time"),
    dead("connectionDropIncrease", "connection_throttle_drop_increase"),
    dead("connectionDropDecrease", "connection_throttle_drop_decrease"),
    dead("connectionDecreaseRatio", "connection_throttle_decrease_ratio"),
    dead("requestThrottleLimit", "request_throttle_max_requests"),
    dead("requestThrottleStallTime", "request_throttle_stall_time"),
    dead("requestThrottleDropStale", "request_throttle_drop_stale"),
    dead("requestStaleLatencyCheck", "request_stale_latency_check"),
    dead("requestStaleConnectionCheck", "request_stale_connection_check"),
    dead("throttledOpWaitTime", "throttled_op_wait_time"),
    dead("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"),
    dead("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"),
    dead("maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch"),
    dead("advancedFlowControlEnabled", "netty.advancedFlowControl.enabled"),
    dead("outstandingHandshake.limit", "netty.server.outstandingHandshake.limit"),
];
