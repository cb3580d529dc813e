import static org.apache.zookeeper.KeeperException.Code.*;
import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** Clients that show who they are with SASL: {@code java Secured CONTROL-PORT}. */
final class Secured {
    private Secured() {
    }

    public static void main(String[] arguments) throws Exception {
        Client.Recorder recorder = new Client.Recorder(Integer.parseInt(arguments[0]));
        String address = recorder.door("main");
        recorder.order("mark sasl/success");
        Client events = new Client();
        try (ZooKeeper zk = new ZooKeeper(address, 5_000, events)) {
            events.await(KeeperState.SaslAuthenticated);
            recorder.step("who-am-i/sasl", () -> zk.whoAmI());
            recorder.step("create/by-sasl", () -> zk.create("/own", null, CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            recorder.step("get-acl/sasl", () -> zk.getACL("/own", new Stat()));
            recorder.refused("error/no-ttl-nodes", UNIMPLEMENTED, () -> zk.create("/ttl", null, CREATOR_ALL_ACL,
                CreateMode.PERSISTENT_WITH_TTL, new Stat(), 1_000));
            recorder.order("mark close/session");
        }
        System.setProperty("zookeeper.sasl.clientconfig", "Wrong");
        recorder.order("mark sasl/wrong-password");
        Client refused = new Client();
        new ZooKeeper(address, 5_000, refused);
        refused.await(KeeperState.AuthFailed);
        System.exit(0);
    }
}
