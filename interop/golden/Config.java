import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;

/**
 * Reads texts of configurations as servers read each other's, and writes them as servers do: {@code java Config}. A line
 * of input is a text in which {@code \n} ends a line; a line of output is the text that Java makes of it, in the same
 * way, or {@code refused}.
 */
final class Config {
    private Config() {
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(written(line.replace("\\n", "\n")).replace("\n", "\\n"));
        }
    }

    private static String written(String text) throws Exception {
        Properties properties = new Properties();
        properties.load(new StringReader(text));
        try {
            return QuorumPeerConfig.parseDynamicConfig(properties, 3, false, false, null).toString();
        } catch (QuorumPeerConfig.ConfigException | RuntimeException refusal) {
            return "refused";
        }
    }
}
