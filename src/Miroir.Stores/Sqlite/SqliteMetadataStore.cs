using System.Text;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// The metadata in one SQLite file. One thread owns the connection: every read and commit is a step of its own in one
/// order, and commits that wait together share a sync.
/// </summary>
public sealed class SqliteMetadataStore : IMetadataStore
{
    /// <summary>Entries that one read answers at most.</summary>
    public const int MaxReadEntries = 1_000_000;

    private const long Format = 1;

    private const string Tables = """
        CREATE TABLE kv(key TEXT PRIMARY KEY, value BLOB NOT NULL, mod_revision INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO meta VALUES('format', 1), ('revision', 0);
        """;

    private readonly CommitThread _thread;
    private readonly Statement _select;
    private readonly Statement _page;
    private readonly Statement _put;
    private readonly Statement _delete;
    private readonly Statement _revision;
    private readonly Statement _setRevision;

    private SqliteMetadataStore(Database database)
    {
        _select = database.Prepare("SELECT mod_revision FROM kv WHERE key = ?1");
        _page = database.Prepare(
            "SELECT key, value, mod_revision FROM kv WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) ORDER BY key LIMIT ?3"
        );
        _put = database.Prepare(
            """
            INSERT INTO kv(key, value, mod_revision) VALUES(?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET value = excluded.value, mod_revision = excluded.mod_revision
            """
        );
        _delete = database.Prepare("DELETE FROM kv WHERE key = ?1");
        _revision = database.Prepare("SELECT value FROM meta WHERE name = 'revision'");
        _setRevision = database.Prepare("UPDATE meta SET value = ?1 WHERE name = 'revision'");
        _thread = new CommitThread(database, "miroir metadata");
    }

    /// <summary>Opens the file, making it where it is absent; its folder has to exist.</summary>
    /// <exception cref="InvalidDataException">A newer build wrote it.</exception>
    /// <exception cref="SqliteException">It can't be opened, or is no database.</exception>
    public static SqliteMetadataStore Open(string file, Synchronous synchronous = Synchronous.Full) =>
        Open(file, new() { Synchronous = synchronous }, SystemFileNames.Instance);

    internal static SqliteMetadataStore Open(string file, DatabaseOptions options, IFileNames names)
    {
        var path = Path.GetFullPath(file);
        var database = Database.Open(
            path,
            Mutants.syncLeftOut() ? options with { Synchronous = Synchronous.Normal } : options
        );
        try
        {
            database.MakeLogDurable();
            database.BeginImmediate();
            if (database.QueryInt64("SELECT count(*) FROM sqlite_schema") == 0)
                database.Execute(Tables);
            database.Commit();
            var format = database.QueryInt64("SELECT value FROM meta WHERE name = 'format'");
            if (format != Format)
                throw new InvalidDataException(
                    $"'{path}' has format {format}; this build reads {Format}: use the build that wrote it, or a newer one."
                );
            if (Path.GetDirectoryName(path) is { Length: > 0 } folder)
                names.Sync(folder);
            return new SqliteMetadataStore(database);
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Every key that begins with the prefix ("": every key), in the order of their UTF-8 bytes.</summary>
    /// <exception cref="IOException">Too many keys, or too many calls wait.</exception>
    public Task<MetadataEntry[]> Read(string prefix, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        cancel.ThrowIfCancellationRequested();
        var job = new CommitJob<MetadataEntry[], MetadataEntry[]>(_ => ReadNow(prefix), static entries => entries);
        if (!_thread.TryPost(job))
            throw new IOException("Too many calls wait for the metadata already: try again later.");
        return job.Answer.WaitAsync(cancel);
    }

    /// <summary>
    /// All writes where every guard holds, else none. The revision grows by one with each commit that writes; one without
    /// writes only compares, and answers with the revision as it is. Where a key is written twice, the last counts.
    /// </summary>
    public async Task<MetadataResult> Commit(
        IReadOnlyList<MetadataGuard> guards,
        IReadOnlyList<MetadataWrite> writes,
        CancellationToken cancel
    )
    {
        cancel.ThrowIfCancellationRequested();
        var job = new CommitJob<MetadataResult, MetadataResult>(
            _ => CommitNow(guards, writes),
            static result => result
        );
        if (!_thread.TryPost(job))
            throw new IOException("Too many calls wait for the metadata already: try again later.");
        try
        {
            return await job.Answer.WaitAsync(cancel).ConfigureAwait(false);
        }
        catch (UncertainCommitException e)
        {
            return MetadataResult.NewMetadataUnknown(e.Message);
        }
        catch (OperationCanceledException)
        {
            return MetadataResult.NewMetadataUnknown("the time limit came before the commit was answered");
        }
    }

    /// <summary>Finishes what waits, and closes the file.</summary>
    public async ValueTask DisposeAsync() => await Task.Run(_thread.Dispose).ConfigureAwait(false);

    private MetadataEntry[] ReadNow(string prefix)
    {
        var from = Encoding.UTF8.GetBytes(prefix);
        _page.BindText(1, from).BindNull(2).Bind(3, MaxReadEntries + 1);
        if (from.Length > 0)
        {
            // No byte of UTF-8 is 0xFF: the first text behind all with this prefix differs in its last byte only.
            from[^1]++;
            _page.BindText(2, from);
        }

        var entries = new List<MetadataEntry>();
        try
        {
            while (_page.Step())
                entries.Add(
                    new MetadataEntry(Encoding.UTF8.GetString(_page.Text(0)), _page.Blob(1).ToArray(), _page.Int64(2))
                );
        }
        finally
        {
            _page.Reset();
        }

        return entries.Count <= MaxReadEntries
            ? [.. entries]
            : throw new IOException(
                $"More than {MaxReadEntries} keys begin with '{prefix}': ask with a longer prefix."
            );
    }

    private MetadataResult CommitNow(IReadOnlyList<MetadataGuard> guards, IReadOnlyList<MetadataWrite> writes)
    {
        foreach (var guard in guards)
        {
            if (Single(_select.BindText(1, Encoding.UTF8.GetBytes(guard.Key))) != guard.ModRevision)
                return MetadataResult.Conflict;
        }

        var revision = Single(_revision);
        if (writes.Count == 0)
            return MetadataResult.NewCommitted(revision);
        revision++;
        foreach (var write in writes)
        {
            var key = Encoding.UTF8.GetBytes(write.Key);
            if (write.Value is { } value)
                _put.BindText(1, key).BindBlob(2, value).Bind(3, revision).Execute();
            else
                _delete.BindText(1, key).Execute();
        }

        _setRevision.Bind(1, revision).Execute();
        return MetadataResult.NewCommitted(revision);
    }

    /// <summary>The statement's one number; 0 where there is no row.</summary>
    private static long Single(Statement statement)
    {
        var value = statement.Step() ? statement.Int64(0) : 0;
        statement.Reset();
        return value;
    }
}
