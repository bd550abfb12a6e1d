package ostler.compat;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;

/** Forwards a port of its own to the server, until it is shut; then it refuses until reopened. */
final class Gate implements AutoCloseable {

    private final ServerSocket listener;
    private final Set<Socket> sockets = Collections.synchronizedSet(new HashSet<>());
    private volatile boolean open = true;

    Gate() throws IOException {
        listener = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        run(this::accept);
    }

    /** Connect string of the gate. */
    String connect() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Ends all connections and accepts no other until {@link #reopen}. */
    void shut() {
        open = false;
        closeSockets();
    }

    void reopen() {
        open = true;
    }

    @Override
    public void close() throws IOException {
        open = false;
        listener.close();
        closeSockets();
    }

    private void closeSockets() {
        synchronized (sockets) {
            sockets.forEach(Gate::closeQuietly);
            sockets.clear();
        }
    }

    private void accept() {
        while (!listener.isClosed()) {
            Socket client = null;
            try {
                client = listener.accept();
                if (!open) {
                    closeQuietly(client);
                    continue;
                }
                Socket server = new Socket(ServerUnderTest.host(), ServerUnderTest.port());
                join(client, server);
            } catch (IOException closed) {
                // The listener was closed, or the server is away: the client sees a refusal.
                closeQuietly(client);
            }
        }
    }

    private void join(Socket client, Socket server) throws IOException {
        sockets.add(client);
        sockets.add(server);
        client.setTcpNoDelay(true);
        server.setTcpNoDelay(true);
        run(() -> pump(client, server));
        run(() -> pump(server, client));
        if (!open) {
            closeSockets();
        }
    }

    private static void pump(Socket from, Socket to) {
        try (from; to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            in.transferTo(out);
        } catch (IOException ended) {
            // Either side has gone; closing both is all there is to do.
            closeQuietly(from);
        }
    }

    private static void closeQuietly(Socket socket) {
        try {
            if (socket != null) {
                socket.close();
            }
        } catch (IOException ignored) {
            // A socket that cannot be closed is closed.
            return;
        }
    }

    private static void run(Runnable work) {
        Thread thread = new Thread(work, "gate");
        thread.setDaemon(true);
        thread.start();
    }
}
