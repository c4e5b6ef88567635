-- The reference's job: the average of each sensor's readings over 5 seconds.
-- TS is the window's end, the time by which Stream Analytics chooses the file's folder. Keep it so: with the window's start
-- as TS, the first row of each hour's folder would belong to the hour before, in whose folder no run finds it.
SELECT
    System.Timestamp() AS TS,
    Device,
    Tag,
    AVG(Value) AS Value
INTO
    [windows]
FROM
    [readings] TIMESTAMP BY TS
GROUP BY
    Device,
    Tag,
    TumblingWindow(second, 5)
