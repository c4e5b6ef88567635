import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.TableConfig;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * Tumbling windows per sensor in Flink SQL, from a topic of Kafka into files of CSV, in a cluster inside this JVM. It runs the same
 * job once for each folder it is given, and tells in a line of JSON each what that took: the first are for warming up.
 */
public final class Windows {
    private final String bootstrap;
    private final String topic;
    private final int parallelism;
    private final int window;
    private final int delay;
    private final String aggregation;

    private Windows(String[] args) {
        bootstrap = args[0];
        topic = args[1];
        parallelism = Integer.parseInt(args[2]);
        window = Integer.parseInt(args[3]);
        delay = Integer.parseInt(args[4]);
        aggregation = args[5];
    }

    public static void main(String[] args) throws Exception {
        if (args.length < 8) {
            System.err.println("Windows BOOTSTRAP TOPIC PARALLELISM WINDOW_SECONDS DELAY_SECONDS AUTO|ONE_PHASE|TWO_PHASE CHECKPOINTS OUT...");
            System.exit(2);
        }
        Windows windows = new Windows(args);
        Configuration configuration = windows.configuration(Path.of(args[6]));
        MiniClusterConfiguration shape = new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(windows.parallelism)
                .build();
        try (MiniCluster cluster = new MiniCluster(shape)) {
            cluster.start();
            URI rest = cluster.getRestAddress().get();
            for (String out : List.of(args).subList(7, args.length)) {
                windows.pass(configuration, rest, Path.of(out));
            }
        }
        // Threads of clients would keep it for a while.
        System.exit(0);
    }

    private Configuration configuration(Path checkpoints) {
        Configuration configuration = new Configuration();
        configuration.set(PipelineOptions.OBJECT_REUSE, true);
        configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(10));
        configuration.set(CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE, CheckpointingMode.EXACTLY_ONCE);
        configuration.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
        configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, checkpoints.toUri().toString());
        configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(128));
        configuration.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(64));
        configuration.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(64));
        configuration.set(RestOptions.BIND_ADDRESS, "127.0.0.1");
        configuration.set(RestOptions.ADDRESS, "127.0.0.1");
        configuration.set(RestOptions.BIND_PORT, "0");
        return configuration;
    }

    private void pass(Configuration configuration, URI rest, Path out) throws Exception {
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createRemoteEnvironment(rest.getHost(), rest.getPort(), configuration);
        environment.setParallelism(parallelism);
        StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
        TableConfig config = tables.getConfig();
        config.set("table.local-time-zone", "UTC");
        config.set("table.exec.mini-batch.enabled", "true");
        config.set("table.exec.mini-batch.allow-latency", "1 s");
        config.set("table.exec.mini-batch.size", "5000");
        config.set("table.optimizer.agg-phase-strategy", aggregation);
        tables.executeSql(source(out.getFileName().toString()));
        tables.executeSql(sink(out));
        if (System.getenv("EXPLAIN") != null) {
            System.err.println(tables.explainSql(query()));
        }
        long cpu = cpu();
        long start = System.nanoTime();
        tables.executeSql(query()).await();
        double wall = (System.nanoTime() - start) / 1e9;
        System.out.printf("{\"out\": \"%s\", \"wallSeconds\": %.3f, \"cpuSeconds\": %.3f, \"peakKib\": %d}%n",
                out.getFileName(), wall, (cpu() - cpu) / 1e9, peak());
    }

    private String source(String group) {
        return """
                CREATE TABLE readings (
                  `TS` TIMESTAMP_LTZ(3), `Device` INT, `Tag` INT, `Value` DOUBLE,
                  WATERMARK FOR `TS` AS `TS` - INTERVAL '%d' SECOND
                ) WITH (
                  'connector' = 'kafka', 'topic' = '%s', 'properties.bootstrap.servers' = '%s',
                  'properties.group.id' = 'flink-%s', 'scan.startup.mode' = 'earliest-offset',
                  'scan.bounded.mode' = 'latest-offset', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
                )""".formatted(delay, topic, bootstrap, group);
    }

    private String sink(Path out) {
        return """
                CREATE TABLE windows (
                  `TS` TIMESTAMP(3), `Device` INT, `Tag` INT, `avg` DOUBLE, `min` DOUBLE, `max` DOUBLE, `count` BIGINT
                ) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'csv')""".formatted(out.toUri());
    }

    private String query() {
        return """
                INSERT INTO windows
                SELECT window_start, `Device`, `Tag`, AVG(`Value`), MIN(`Value`), MAX(`Value`), COUNT(`Value`)
                FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(`TS`), INTERVAL '%d' SECOND))
                GROUP BY window_start, window_end, `Device`, `Tag`""".formatted(window);
    }

    /** Of this process, in nanoseconds: Flink, and what Java does besides. */
    private static long cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    /** The most memory that this process has had so far, in KiB. */
    private static long peak() throws Exception {
        try (var lines = Files.lines(Path.of("/proc/self/status"))) {
            return lines.filter(line -> line.startsWith("VmHWM:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
                    .findFirst().orElseThrow();
        }
    }
}
