import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;

/** Identities and access control lists. */
final class Acls {
    private static final String BOB = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=";

    private Acls() {
    }

    static void register() {
        Drive.scenario("acl-lists", Acls::lists);
        Drive.scenario("acl-permissions", Acls::permissions);
        Drive.scenario("acl-auth", Acls::auth);
        Drive.scenario("acl-super", Acls::superUser);
        Drive.scenario("acl-auth-refused", Acls::refused);
    }

    private static ACL entry(int perms, String scheme, String id) {
        return new ACL(perms, new Id(scheme, id));
    }

    private static void lists(Drive.Run run) throws Exception {
        Client c = run.start();
        ACL[][] lists = {
            {entry(31, "world", "anyone")},
            {entry(1, "world", "anyone"), entry(31, "digest", BOB)},
            {entry(31, "ip", "127.0.0.1")},
            {entry(31, "ip", "127.0.0.0/8"), entry(31, "ip", "10.0.0.1")},
            {entry(31, "ip", "::1")},
            {entry(31, "ip", "nonsense")},
            {entry(31, "auth", "")},
            {entry(31, "sasl", "bob")},
            {entry(31, "nosuch", "x")},
            {entry(31, "super", "x")},
            {entry(31, "digest", "nohash")},
            {entry(1, "world", "anyone"), entry(1, "world", "anyone"), entry(3, "world", "anyone")},
        };
        for (int turn = 0; turn < lists.length; turn++) {
            List<ACL> acl = Arrays.asList(lists[turn]);
            c.create(run.root + "/n" + turn, "", acl, CreateMode.PERSISTENT);
            c.getAcl(run.root + "/n" + turn);
            c.create(run.root + "/s" + turn, "");
            c.setAcl(run.root + "/s" + turn, acl, -1);
            c.getAcl(run.root + "/s" + turn);
        }
    }

    private static void permissions(Drive.Run run) throws Exception {
        Client c = run.start();
        for (int perms : new int[] {1, 2, 4, 8, 16, 30, 29, 27, 23, 15, 0}) {
            String path = run.root + "/p" + perms;
            c.create(path, "x");
            c.create(path + "/kid", "x");
            c.setAcl(path, Arrays.asList(entry(perms, "world", "anyone")), 0);
            c.exists(path);
            c.get(path);
            c.children(path, false);
            c.childrenWithStat(path, false);
            c.count(path);
            c.getAcl(path);
            c.set(path, "y");
            c.create(path + "/new", "");
            c.delete(path + "/kid");
            c.setAcl(path, Ids.OPEN_ACL_UNSAFE, 99);
            c.delete(path);
        }
    }

    private static void auth(Drive.Run run) throws Exception {
        Client bob = run.start();
        Client other = run.client("other");
        bob.auth("digest", "bob:pw");
        bob.whoAmI();
        bob.create(run.root + "/n", "x", Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        bob.getAcl(run.root + "/n");
        other.get(run.root + "/n");
        other.getAcl(run.root + "/n");
        bob.setAcl(run.root + "/n", Arrays.asList(entry(1, "world", "anyone"), entry(31, "auth", "")), 0);
        other.getAcl(run.root + "/n");
        other.set(run.root + "/n", "y");
        bob.getAcl(run.root + "/n");
        bob.auth("digest", "eve:pw");
        bob.create(run.root + "/two", "x", Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        bob.getAcl(run.root + "/two");
        bob.whoAmI();
        other.whoAmI();
    }

    private static void superUser(Drive.Run run) throws Exception {
        Client c = run.start();
        Client boss = run.client("boss");
        c.create(run.root + "/n", "x", Arrays.asList(entry(0, "world", "anyone")), CreateMode.PERSISTENT);
        boss.get(run.root + "/n");
        boss.auth("digest", "super:driver");
        boss.get(run.root + "/n");
        boss.getAcl(run.root + "/n");
        boss.set(run.root + "/n", "y");
        boss.whoAmI();
        boss.delete("/zookeeper/config");
        boss.set("/zookeeper/config", "");
        boss.delete(run.root + "/n");
    }

    private static void refused(Drive.Run run) throws Exception {
        Client c = run.start();
        Client bad = run.client("bad");
        bad.auth("nosuch", "x");
        bad.awaitState(Watcher.Event.KeeperState.AuthFailed);
        bad.exists(run.root);
        c.exists(run.root);
    }
}
