package ostler.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.regex.Pattern;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.client.FourLetterWordMain;
import org.junit.jupiter.api.Test;

/** The words that monitors send, through the client's own sender. */
class FourLetterWordTest extends ServerTest {

    private static String word(String word) throws Exception {
        return FourLetterWordMain.send4LetterWord(
            ServerUnderTest.host(), ServerUnderTest.port(), word);
    }

    private static void assertLine(String answer, String pattern) {
        assertTrue(Pattern.compile("^" + pattern + "$", Pattern.MULTILINE).matcher(answer).find(),
            () -> "no line " + pattern + " in\n" + answer);
    }

    @Test
    void serverTellsItsModeAndCounts() throws Exception {
        String answer = word("srvr");
        for (String line : List.of("Zookeeper version: .*", "Latency min/avg/max: .*",
                "Received: \\d+", "Sent: \\d+", "Connections: \\d+", "Outstanding: \\d+",
                "Zxid: 0x[0-9a-f]+", "Mode: standalone", "Node count: \\d+")) {
            assertLine(answer, line);
        }
    }

    @Test
    void livenessWordsAnswerShortly() throws Exception {
        assertEquals("imok", word("ruok").trim());
        assertEquals("rw", word("isro").trim());
    }

    @Test
    void connectionsAndSessionsAreListed() throws Exception {
        String id = Long.toHexString(zk.getSessionId());
        create(root + "/e", "", CreateMode.EPHEMERAL);
        assertTrue(word("cons").contains("sid=0x" + id));
        assertTrue(word("stat").contains("Clients:"));
        String dump = word("dump");
        assertTrue(dump.contains("0x" + id), dump);
        assertTrue(dump.contains("\t" + root + "/e"), dump);
    }

    @Test
    void watchesAreListed() throws Exception {
        zk.getData(root, new EventLog(), null);
        assertTrue(word("wchp").contains(root));
        String byConnection = word("wchc");
        assertTrue(byConnection.contains("0x" + Long.toHexString(zk.getSessionId())));
        assertTrue(byConnection.contains("\t" + root));
        assertLine(word("wchs"), "\\d+ connections watching \\d+ paths");
        assertLine(word("wchs"), "Total watches:\\d+");
    }

    @Test
    void monitorNamesItsMetrics() throws Exception {
        String answer = word("mntr");
        for (String key : List.of("version", "server_state", "avg_latency", "max_latency",
                "min_latency", "packets_received", "packets_sent", "num_alive_connections",
                "outstanding_requests", "znode_count", "watch_count", "ephemerals_count",
                "approximate_data_size", "open_file_descriptor_count",
                "max_file_descriptor_count", "uptime", "global_sessions")) {
            assertLine(answer, "zk_" + key + "\t.+");
        }
        assertLine(answer, "zk_server_state\tstandalone");
    }

    @Test
    void configurationAndEnvironmentAreShown() throws Exception {
        String answer = word("conf");
        assertLine(answer, "clientPort=" + ServerUnderTest.port());
        assertLine(answer, "tickTime=500");
        assertLine(answer, "minSessionTimeout=" + ServerUnderTest.SESSION_MS_MIN);
        assertLine(answer, "maxSessionTimeout=" + ServerUnderTest.SESSION_MS_MAX);
        assertLine(word("envi"), "zookeeper.version=.*");
        assertLine(word("dirs"), "datadir_size: \\d+");
        assertLine(word("dirs"), "logdir_size: \\d+");
    }

    @Test
    void countersCanBeReset() throws Exception {
        assertEquals("Server stats reset.", word("srst").trim());
        assertEquals("Connection stats reset.", word("crst").trim());
        String answer = word("srvr");
        assertLine(answer, "Received: \\d{1,3}");
    }
}
