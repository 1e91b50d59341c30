using System.Text;
using Miroir.Ports;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;

namespace Miroir.Stores.Tests.Crash;

/// <summary>A commit of metadata: it puts a mark of its own, and puts or deletes others (null) with it.</summary>
internal sealed record MetadataCommit(int Number, (string Key, string? Value)[] Writes)
{
    public string Mark => $"mark/{Number:d6}";

    public override string ToString() => Mark;
}

internal abstract record MetadataNote
{
    public sealed record Begun(MetadataCommit Commit) : MetadataNote;

    public sealed record Done(MetadataCommit Commit, long Revision) : MetadataNote;
}

/// <summary>Commits metadata as a seed says, some of it at once, with the file closed and opened between.</summary>
internal sealed class MetadataScript(DiskLog log, int seed)
{
    private readonly Random _random = new(seed);
    private int _commits;

    public async Task Run(int rounds, Synchronous synchronous = Synchronous.Full)
    {
        for (var part = 0; part < 2; part++)
        {
            await using var store = Open(synchronous);
            for (var round = 0; round < rounds; round++)
                await Task.WhenAll(Enumerable.Range(0, _random.Next(1, 5)).Select(_ => Commit(store, Next())));
        }
    }

    /// <summary>Opens what others have left, and reads it: what was read is never lost.</summary>
    public async Task Look()
    {
        var begun = log
            .Events.OfType<DiskEvent.Note>()
            .Select(note => note.What)
            .OfType<MetadataNote.Begun>()
            .ToDictionary(note => note.Commit.Mark, note => note.Commit);
        await using var store = Open(Synchronous.Full);
        foreach (var entry in await store.Read("mark/", CancellationToken.None))
            log.Note(new MetadataNote.Done(begun[entry.Key], entry.ModRevision));
    }

    private SqliteMetadataStore Open(Synchronous synchronous) =>
        SqliteMetadataStore.Open(
            Path.Combine(log.Folder, MetadataCheck.File),
            new()
            {
                Synchronous = synchronous,
                Vfs = RecordingVfs.Name,
                WalAutoCheckpointPages = 8,
                JournalSizeLimitBytes = 20_000,
            },
            log
        );

    private MetadataCommit Next()
    {
        var writes = new (string, string?)[_random.Next(1, 5)];
        for (var i = 0; i < writes.Length; i++)
            writes[i] = ($"key/{_random.Next(8)}", _random.Next(5) == 0 ? null : new string('x', _random.Next(3000)));
        return new MetadataCommit(++_commits, writes);
    }

    private async Task Commit(SqliteMetadataStore store, MetadataCommit commit)
    {
        log.Note(new MetadataNote.Begun(commit));
        var writes = commit.Writes.Select(write => new MetadataWrite(write.Key, Utf8(write.Value)));
        var result = await store.Commit(
            [new MetadataGuard(commit.Mark, 0)],
            [.. writes, new MetadataWrite(commit.Mark, Utf8($"{commit.Number}"))],
            CancellationToken.None
        );
        Assert.That(result, Is.TypeOf<MetadataResult.Committed>(), $"{result}");
        log.Note(new MetadataNote.Done(commit, ((MetadataResult.Committed)result).Revision));
    }

    private static byte[]? Utf8(string? text) => text is null ? null : Encoding.UTF8.GetBytes(text);
}
