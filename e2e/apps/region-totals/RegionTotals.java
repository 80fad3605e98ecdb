import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;

/**
 * An application on the JVM for the acceptance tests: sums up numbers by region, writes Parquet and says where it lies.
 *
 * <p>Arguments: OUTPUT_URI [ROWS [SECONDS]]. It stays alive for SECONDS before it writes, so that a test can look at it, or kill what
 * keeps it, while it runs.
 */
public final class RegionTotals {
  private RegionTotals() {}

  public static void main(String[] arguments) throws Exception {
    String output = arguments[0];
    long rows = arguments.length > 1 ? Long.parseLong(arguments[1]) : 100_000;
    long seconds = arguments.length > 2 ? Long.parseLong(arguments[2]) : 0;

    SparkSession spark = SparkSession.builder().appName("region-totals").getOrCreate();
    Thread.sleep(seconds * 1000);
    Dataset<Row> totals =
        spark.range(rows).selectExpr("concat('region-', id % 4) AS region", "id AS amount").groupBy("region").sum("amount");
    totals.coalesce(1).write().mode(SaveMode.Overwrite).parquet(output);
    long written = spark.read().parquet(output).count();
    spark.stop();
    Files.writeString(Path.of("/dev/termination-log"), "{\"resultUri\": \"" + output + "\", \"rows\": " + written + "}");
  }
}
