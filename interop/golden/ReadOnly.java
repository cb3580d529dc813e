import static org.apache.zookeeper.KeeperException.Code.NOTREADONLY;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** At a server that has lost its ensemble and serves those who only read: {@code java ReadOnly CONTROL-PORT}. */
final class ReadOnly {
    private ReadOnly() {
    }

    public static void main(String[] arguments) throws Exception {
        Client.Recorder recorder = new Client.Recorder(Integer.parseInt(arguments[0]));
        String address = recorder.door("read-only");
        recorder.order("mark connect/read-only");
        Client events = new Client();
        try (ZooKeeper zk = new ZooKeeper(address, 15_000, events, true)) {
            events.await(KeeperState.ConnectedReadOnly);
            recorder.step("exists/read-only", () -> zk.exists("/app", false));
            recorder.refused("error/not-read-only", NOTREADONLY,
                () -> zk.create("/app/k", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            recorder.order("mark close/read-only");
        }
        System.exit(0);
    }
}
