using Miroir.Ports;
using Miroir.Stores.Sqlite;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

/// <summary>Tasks outlive the process, their numbers are never used twice, and the oldest are let go.</summary>
public sealed class SqliteTaskLogTests
{
    private static readonly TaskQuery All = new(100, -1, false, [], [], [], [], 0, 0, 0, 0);

    private DirectoryInfo folder = null!;

    private string File => Path.Combine(folder.FullName, "tasks.db");

    [SetUp]
    public void MakeFolder() => folder = Directory.CreateTempSubdirectory("miroir-tasks-");

    [TearDown]
    public void DeleteFolder() => folder.Delete(recursive: true);

    [Test]
    public async Task ATaskOutlivesARestart()
    {
        long uid;
        await using (var log = new SqliteTaskLog(File, 5))
            uid = await log.Append(Some("books", "failed"), default);
        await using var again = new SqliteTaskLog(File, 5);
        var found = await again.Find(uid, default);
        Assert.That(found.Value, Is.EqualTo(With(uid, Some("books", "failed"))));
        Assert.That(TaskUid.router(uid), Is.EqualTo(5));
        Assert.That((await again.Find(uid + 1, default)).IsNone, Is.True);
    }

    [Test]
    public async Task NumbersGrowOverRestartsAndBlocks()
    {
        var given = new List<long>();
        for (var start = 0; start < 3; start++)
        {
            await using var log = new SqliteTaskLog(File, 1, keep: 10);
            given.AddRange(
                await Task.WhenAll(
                    Enumerable
                        .Range(0, SqliteTaskLog.BlockSize + 10)
                        .Select(_ => log.Append(Some("a", "succeeded"), default))
                )
            );
        }
        Assert.That(given, Is.Ordered.And.Unique);
        Assert.That(given[^1], Is.LessThan(1L << 53));
    }

    [Test]
    public async Task ManyAtOnceEachHaveTheirOwn()
    {
        var log = new SqliteTaskLog(File, 1);
        var given = await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(t =>
                    Task.Run(async () =>
                    {
                        var uids = new List<(long Uid, string Index)>();
                        for (var i = 0; i < 300; i++)
                            uids.Add((await log.Append(Some($"i{t}-{i}", "succeeded"), default), $"i{t}-{i}"));
                        return uids;
                    })
                )
        );
        var all = given.SelectMany(g => g).ToList();
        Assert.That(all.Select(g => g.Uid), Is.Unique);
        foreach (var (uid, index) in all)
            Assert.That((await log.Find(uid, default)).Value.IndexUid, Is.EqualTo(index));
        await log.DisposeAsync();
        Assert.That(
            async () => await log.Append(Some("a", "failed"), default),
            Throws.InstanceOf<ObjectDisposedException>()
        );
    }

    [Test]
    public async Task TheOldestAreLetGo()
    {
        await using var log = new SqliteTaskLog(File, 1, keep: 50);
        var given = await Task.WhenAll(
            Enumerable.Range(0, 3000).Select(_ => log.Append(Some("a", "succeeded"), default))
        );
        Assert.That((await log.List(All, default)).Total, Is.InRange(50, 1050));
        Assert.That((await log.Find(given[0], default)).IsNone, Is.True);
        Assert.That((await log.Find(given[^1], default)).IsSome, Is.True);
    }

    [Test]
    public async Task ListsAreFilteredAndPaged()
    {
        await using var log = new SqliteTaskLog(File, 1);
        var given = new List<long>();
        foreach (var (index, status) in ((string, string)[])[("a", "failed"), ("b", "succeeded"), ("a", "succeeded")])
            given.Add(await log.Append(Some(index, status), default));
        async Task<long[]> Uids(TaskQuery query) => [.. (await log.List(query, default)).Tasks.Select(t => t.Uid)];
        Assert.That(await Uids(All), Is.EqualTo((long[])[given[2], given[1], given[0]]));
        Assert.That(await Uids(Query(oldestFirst: true, limit: 2)), Is.EqualTo((long[])[given[0], given[1]]));
        Assert.That(await Uids(Query(from: given[1])), Is.EqualTo((long[])[given[1], given[0]]));
        Assert.That(await Uids(Query(indexUids: ["a"])), Is.EqualTo((long[])[given[2], given[0]]));
        Assert.That(await Uids(Query(statuses: ["failed"], indexUids: ["a", "b"])), Is.EqualTo((long[])[given[0]]));
        Assert.That(await Uids(Query(uids: [given[1], 7])), Is.EqualTo((long[])[given[1]]));
        Assert.That(await Uids(Query(enqueuedAfter: 1000)), Is.Empty);
        Assert.That(await Uids(Query(enqueuedAfter: 999)), Has.Length.EqualTo(3));
    }

    [Test]
    public void AnotherRoutersFileIsRefused()
    {
        new SqliteTaskLog(File, 1).DisposeAsync().AsTask().Wait();
        Assert.That(() => new SqliteTaskLog(File, 2), Throws.ArgumentException.With.Message.Contains("router 1"));
        Assert.That(() => new SqliteTaskLog(File, 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private static TaskQuery Query(
        int limit = 100,
        long from = -1,
        bool oldestFirst = false,
        long[]? uids = null,
        string[]? statuses = null,
        string[]? indexUids = null,
        long enqueuedAfter = 0
    ) => new(limit, from, oldestFirst, uids ?? [], statuses ?? [], [], indexUids ?? [], enqueuedAfter, 0, 0, 0);

    private static TaskRecord Some(string index, string status) => With(0, index, status);

    private static TaskRecord With(long uid, TaskRecord task) => With(uid, task.IndexUid, task.Status);

    private static TaskRecord With(long uid, string index, string status) =>
        new(uid, index, status, "documentDeletion", 1000, 2000, """{"a":"é"}""", "", "mine");
}
