import static org.apache.zookeeper.KeeperException.Code.*;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.nio.charset.StandardCharsets;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;

/**
 * What only the leader of an ensemble does, and what servers do by themselves: {@code java -Dother=ID
 * -Daddress=ADDRESS Ensemble CONTROL-PORT}, where the id and the address are those of another server than the leader.
 */
final class Ensemble {
    private Ensemble() {
    }

    public static void main(String[] arguments) throws Exception {
        Client.Recorder recorder = new Client.Recorder(Integer.parseInt(arguments[0]));
        String other = System.getProperty("other");
        String member = "server." + other + "=" + System.getProperty("address");
        recorder.order("mark connect/new");
        Client events = new Client();
        try (ZooKeeperAdmin zk = new ZooKeeperAdmin(recorder.door("main"), 15_000, events)) {
            events.await(KeeperState.SyncConnected);
            recorder.step("create/persistent",
                () -> zk.create("/app", bytes("app"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            recorder.refused("reconfig/no-auth", NOAUTH, () -> zk.reconfigure(null, other, null, -1, new Stat()));
            recorder.step("auth/super", () -> {
                zk.addAuthInfo("digest", bytes("super:driver"));
                recorder.order("answer");
            });
            recorder.refused("reconfig/bad-version", BADVERSION,
                () -> zk.reconfigure(null, other, null, 5, new Stat()));
            recorder.refused("reconfig/bad-arguments", BADARGUMENTS,
                () -> zk.reconfigure("server.9=nonsense", null, null, -1, new Stat()));
            String strangers = "server.7=127.0.0.1:1:2;3,server.8=127.0.0.1:4:5;6,server.9=127.0.0.1:7:8;9";
            recorder.refused("reconfig/no-quorum", NEWCONFIGNOQUORUM,
                () -> zk.reconfigure(strangers, null, null, -1, new Stat()));
            recorder.step("reconfig/leave", () -> zk.reconfigure(null, other, null, -1, new Stat()));
            recorder.step("reconfig/join", () -> zk.reconfigure(member, null, null, -1, new Stat()));
            recorder.step("get-data/config", () -> zk.getData("/zookeeper/config", false, new Stat()));
            expiry(recorder, events, zk);
            removal(recorder, events, zk);
            recorder.order("mark close/session");
        }
        System.exit(0);
    }

    private static void expiry(Client.Recorder recorder, Client events, ZooKeeperAdmin zk) throws Exception {
        recorder.order("mark connect/to-expire");
        Client gone = Client.connect(recorder.door("gone"), 1_000, false);
        recorder.step("create/to-expire",
            () -> gone.zk.create("/app/e", bytes("e"), OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL));
        recorder.step("exists/to-expire", () -> zk.exists("/app/e", true));
        recorder.step("event/expired", () -> {
            recorder.order("cut gone");
            events.await(1);
        });
    }

    private static void removal(Client.Recorder recorder, Client events, ZooKeeperAdmin zk) throws Exception {
        recorder.step("create/container", () -> zk.create("/app/c", bytes("c"), OPEN_ACL_UNSAFE, CreateMode.CONTAINER));
        recorder.step("create/in-container",
            () -> zk.create("/app/c/k", bytes("k"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        recorder.step("exists/container", () -> zk.exists("/app/c", true));
        recorder.step("event/container-removed", () -> {
            zk.delete("/app/c/k", -1);
            events.await(1);
        });
        recorder.step("exists/ttl", () -> zk.exists("/app/ttl", true));
        recorder.step("event/ttl-created", () -> {
            zk.create("/app/ttl", bytes("t"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 60_000);
            events.await(1);
        });
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
