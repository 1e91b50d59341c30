using System.Text;
using Microsoft.FSharp.Core;
using Miroir.Ports;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>Tasks as rows.</summary>
internal static class TaskRows
{
    public const string Insert = "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

    private const string Columns =
        "uid, index_uid, status, type, enqueued_unix_ms, finished_unix_ms, details, error, custom_metadata";

    public static void MakeTables(Database database) =>
        database.Execute(
            """
            CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS task (
                uid INTEGER PRIMARY KEY,
                index_uid TEXT NOT NULL,
                status TEXT NOT NULL,
                type TEXT NOT NULL,
                enqueued_unix_ms INTEGER NOT NULL,
                finished_unix_ms INTEGER NOT NULL,
                details TEXT NOT NULL,
                error TEXT NOT NULL,
                custom_metadata TEXT NOT NULL
            );
            """
        );

    public static void Add(Statement insert, long uid, TaskRecord task)
    {
        insert.Bind(1, uid);
        Text(insert, 2, task.IndexUid);
        Text(insert, 3, task.Status);
        Text(insert, 4, task.Type);
        insert.Bind(5, task.EnqueuedAtUnixMs).Bind(6, task.FinishedAtUnixMs);
        Text(insert, 7, task.Details);
        Text(insert, 8, task.Error);
        Text(insert, 9, task.CustomMetadata);
        insert.Execute();
    }

    public static FSharpValueOption<TaskRecord> Find(Database database, long uid)
    {
        using var find = database.Prepare($"SELECT {Columns} FROM task WHERE uid = ?");
        find.Bind(1, uid);
        return find.Step() ? FSharpValueOption<TaskRecord>.NewValueSome(Read(find)) : default;
    }

    public static TaskPage List(Database database, TaskQuery query)
    {
        var (where, bind) = Where(query);
        using var counting = database.Prepare($"SELECT count(*) FROM task WHERE {where}");
        bind(counting);
        counting.Step();
        var total = counting.Int64(0);
        counting.Reset();
        var (order, from) = query.OldestFirst ? ("ASC", ">=") : ("DESC", "<=");
        var start = query.From >= 0 ? $" AND uid {from} ?" : "";
        using var listing = database.Prepare(
            $"SELECT {Columns} FROM task WHERE {where}{start} ORDER BY uid {order} LIMIT ?"
        );
        var parameter = bind(listing);
        if (query.From >= 0)
            listing.Bind(parameter++, query.From);
        listing.Bind(parameter, query.Limit);
        var tasks = new List<TaskRecord>();
        while (listing.Step())
            tasks.Add(Read(listing));
        return new TaskPage([.. tasks], total);
    }

    /// <summary>The condition, and what binds it and answers the number of the next parameter.</summary>
    private static (string Sql, Func<Statement, int> Bind) Where(TaskQuery query)
    {
        var terms = new List<string> { "1" };
        var binds = new List<Action<Statement, int>>();
        void Bound(string term, long value)
        {
            if (value == 0)
                return;
            terms.Add(term);
            binds.Add((statement, parameter) => statement.Bind(parameter, value));
        }
        void OneOf<T>(string column, T[] values, Action<Statement, int, T> bind)
        {
            if (values.Length == 0)
                return;
            terms.Add($"{column} IN ({string.Join(',', values.Select(_ => "?"))})");
            foreach (var value in values)
                binds.Add((statement, parameter) => bind(statement, parameter, value));
        }
        OneOf("uid", query.Uids, (statement, parameter, value) => statement.Bind(parameter, value));
        OneOf("status", query.Statuses, Text);
        OneOf("type", query.Types, Text);
        OneOf("index_uid", query.IndexUids, Text);
        Bound("enqueued_unix_ms > ?", query.EnqueuedAfterUnixMs);
        Bound("enqueued_unix_ms < ?", query.EnqueuedBeforeUnixMs);
        Bound("finished_unix_ms > ?", query.FinishedAfterUnixMs);
        Bound("finished_unix_ms < ?", query.FinishedBeforeUnixMs);
        return (
            string.Join(" AND ", terms),
            statement =>
            {
                for (var i = 0; i < binds.Count; i++)
                    binds[i](statement, i + 1);
                return binds.Count + 1;
            }
        );
    }

    private static TaskRecord Read(Statement row) =>
        new(
            row.Int64(0),
            Text(row, 1),
            Text(row, 2),
            Text(row, 3),
            row.Int64(4),
            row.Int64(5),
            Text(row, 6),
            Text(row, 7),
            Text(row, 8)
        );

    private static string Text(Statement row, int column) => Encoding.UTF8.GetString(row.Text(column));

    private static void Text(Statement statement, int parameter, string value) =>
        statement.BindText(parameter, Encoding.UTF8.GetBytes(value));
}
