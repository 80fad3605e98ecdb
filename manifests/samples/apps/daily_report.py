"""The sample report: makes a day's sales, sums them up by product with Spark, and writes the sums as Parquet.

    daily_report.py OUTPUT_URI [--date YYYY-MM-DD] [--region NAME] [--rows N] [--fail]

The last thing it does is to say where the result lies, as one line of JSON in the driver's termination message:
that is how a job tells its keeper. With --fail it ends with an exception, as a report does whose input is bad.
"""

import argparse
import json

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

TERMINATION_MESSAGE = "/dev/termination-log"


def sales(spark, date, region, rows):
    """A day's sales, the same for the same date and region."""
    seed = sum(map(ord, date + region))
    return spark.range(rows).select(
        f.lit(date).cast("date").alias("date"),
        f.lit(region).alias("region"),
        f.concat(f.lit("product-"), (f.col("id") % 20).cast("string")).alias("product"),
        (f.rand(seed) * 5 + 1).cast("int").alias("pieces"),
        f.round(f.rand(seed + 1) * 100, 2).alias("price"),
    )


def report(sold):
    return sold.groupBy("date", "region", "product").agg(
        f.sum("pieces").alias("pieces"),
        f.round(f.sum(f.col("pieces") * f.col("price")), 2).alias("turnover"),
    )


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("output")
    arguments.add_argument("--date", default="2026-01-31")
    arguments.add_argument("--region", default="north")
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--fail", action="store_true")
    given = arguments.parse_args()

    spark = SparkSession.builder.appName("daily-report").getOrCreate()
    sold = sales(spark, given.date, given.region, given.rows)
    if given.fail:
        raise ValueError(f"no sales of region {given.region} on {given.date}: the input is not there")
    report(sold).coalesce(1).write.mode("overwrite").parquet(given.output)
    rows = spark.read.parquet(given.output).count()
    spark.stop()
    with open(TERMINATION_MESSAGE, "w") as message:
        message.write(json.dumps({"resultUri": given.output, "rows": rows}))


if __name__ == "__main__":
    main()
