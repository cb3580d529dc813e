import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.Socket;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;

/** What a program of recorded steps is made of: the recorder's control line, and a client that waits for events. */
final class Client implements Watcher, AutoCloseable {
    /** Every wait ends. */
    static final int WAIT_SECONDS = 20;

    interface Step {
        void run() throws Exception;
    }

    /** The line to the recorder: each order is answered before the program goes on. */
    static final class Recorder {
        private final BufferedReader in;
        private final PrintWriter out;

        Recorder(int port) throws IOException {
            Socket socket = new Socket("127.0.0.1", port);
            in = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            out = new PrintWriter(socket.getOutputStream(), true);
        }

        String order(String order) throws IOException {
            out.println(order);
            return in.readLine();
        }

        /** A new way to the server: an address. */
        String door(String name) throws IOException {
            return "127.0.0.1:" + order("door " + name);
        }

        /** One named step. */
        void step(String name, Step step) throws Exception {
            order("mark " + name);
            step.run();
        }

        /** A step that the server refuses, with this code. */
        void refused(String name, KeeperException.Code code, Step step) throws Exception {
            order("mark " + name);
            try {
                step.run();
            } catch (KeeperException error) {
                if (error.code() == code) {
                    return;
                }
                throw error;
            }
            throw new IllegalStateException(name + " was not refused");
        }
    }

    ZooKeeper zk;
    private final LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();

    static Client connect(String address, int timeoutMs, boolean canBeReadOnly) throws Exception {
        Client client = new Client();
        client.zk = new ZooKeeper(address, timeoutMs, client, canBeReadOnly);
        client.await(Event.KeeperState.SyncConnected);
        return client;
    }

    static Client resume(String address, int timeoutMs, long session, byte[] password, Event.KeeperState awaited)
            throws Exception {
        Client client = new Client();
        client.zk = new ZooKeeper(address, timeoutMs, client, session, password);
        client.await(awaited);
        return client;
    }

    @Override
    public void process(WatchedEvent event) {
        events.add(event);
    }

    private WatchedEvent next() throws InterruptedException {
        WatchedEvent event = events.poll(WAIT_SECONDS, TimeUnit.SECONDS);
        if (event == null) {
            throw new IllegalStateException("no event came");
        }
        return event;
    }

    /** Waits until the connection is in this state. */
    void await(Event.KeeperState state) throws InterruptedException {
        WatchedEvent event;
        do {
            event = next();
        } while (event.getType() != Event.EventType.None || event.getState() != state);
    }

    /** Waits for so many events that the server sent; the client makes others itself. */
    void await(int count) throws InterruptedException {
        while (count > 0) {
            int type = next().getType().getIntValue();
            count -= type >= 1 && type <= 4 ? 1 : 0;
        }
    }

    @Override
    public void close() throws InterruptedException {
        zk.close();
    }
}
