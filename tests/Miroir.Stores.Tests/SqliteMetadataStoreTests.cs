using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Miroir.Ports;
using Miroir.Stores.Sqlite;
using NUnit.Framework;

namespace Miroir.Stores.Tests;

public sealed class SqliteMetadataStoreTests
{
    private static readonly string[] Keys = ["a", "a/1", "a/10", "a/2", "aé", "b", "ÿ", "Z", "\U0001F600"];

    private TemporaryFolder _folder = null!;
    private SqliteMetadataStore _store = null!;

    [SetUp]
    public void Open()
    {
        _folder = new TemporaryFolder();
        _store = SqliteMetadataStore.Open(_folder.File("metadata.db"));
    }

    [TearDown]
    public async Task Close()
    {
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    /// <summary>Key by index; the guard is the true revision plus `Off`; value below 0 deletes.</summary>
    private sealed record Step((int Key, int Off)[] Guards, (int Key, int Value)[] Writes);

    [Test]
    public void ItIsAMapWithGuards()
    {
        var guard = Gen.Choose(0, Keys.Length - 1)
            .SelectMany(key =>
                Gen.Frequency((8, Gen.Constant(0)), (1, Gen.Constant(1)), (1, Gen.Constant(-1)))
                    .Select(off => (key, off))
            );
        var write = Gen.Choose(0, Keys.Length - 1).SelectMany(key => Gen.Choose(-2, 5).Select(value => (key, value)));
        var step = guard.ArrayOf().SelectMany(guards => write.ArrayOf().Select(writes => new Step(guards, writes)));
        var steps = step.ListOf().Select(list => list.ToArray()).ToArbitrary();
        var run = 0;
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(60),
            Prop.ForAll(steps, all => Follows(all, _folder.File($"{run++}.db")).GetAwaiter().GetResult())
        );
    }

    private static async Task Follows(Step[] steps, string file)
    {
        var model = new Dictionary<string, (byte Value, long Revision)>();
        var revision = 0L;
        var store = SqliteMetadataStore.Open(file);
        foreach (var step in steps)
        {
            var guards = step
                .Guards.Select(guard => new MetadataGuard(
                    Keys[guard.Key],
                    (model.TryGetValue(Keys[guard.Key], out var known) ? known.Revision : 0) + guard.Off
                ))
                .ToArray();
            var writes = step
                .Writes.Select(write => new MetadataWrite(
                    Keys[write.Key],
                    write.Value < 0 ? null : [(byte)write.Value]
                ))
                .ToArray();
            var result = await store.Commit(guards, writes, CancellationToken.None);
            if (step.Guards.Any(guard => guard.Off != 0))
            {
                Assert.That(result.IsConflict);
                continue;
            }

            var expected = writes.Length == 0 ? revision : revision + 1;
            Assert.That(result, Is.EqualTo(MetadataResult.NewCommitted(expected)));
            revision = expected;
            foreach (var write in writes)
            {
                if (write.Value is { } value)
                    model[write.Key] = (value[0], revision);
                else
                    model.Remove(write.Key);
            }
        }

        await store.DisposeAsync();
        await using var again = SqliteMetadataStore.Open(file);
        foreach (var prefix in new[] { "", "a", "a/", "a/1", "ÿ", "nothing" })
        {
            var entries = await again.Read(prefix, CancellationToken.None);
            var expected = model
                .Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal))
                .OrderBy(pair => Convert.ToHexString(Encoding.UTF8.GetBytes(pair.Key)), StringComparer.Ordinal)
                .Select(pair => (pair.Key, pair.Value.Value, pair.Value.Revision));
            Assert.That(entries.Select(entry => (entry.Key, entry.Value[0], entry.ModRevision)), Is.EqualTo(expected));
        }
    }

    [Test]
    public async Task OfManyThatRaceWithTheSameGuardOneWins()
    {
        var commits = Enumerable
            .Range(0, 50)
            .Select(i =>
                Task.Run(() => _store.Commit([new("leader", 0)], [new("leader", [(byte)i])], CancellationToken.None))
            );
        var results = await Task.WhenAll(commits);
        Assert.That(results.Count(result => result.IsCommitted), Is.EqualTo(1));
        Assert.That(results.Count(result => result.IsConflict), Is.EqualTo(49));
        var winner = Array.FindIndex(results, result => result.IsCommitted);
        Assert.That(
            (await _store.Read("leader", CancellationToken.None)).Single().Value,
            Is.EqualTo(new[] { (byte)winner })
        );
    }

    [Test]
    public async Task RevisionsOfCommitsAtOnceAreAllDifferent()
    {
        var commits = Enumerable
            .Range(0, 200)
            .Select(i => _store.Commit([], [new($"key/{i:D3}", [1])], CancellationToken.None));
        var results = await Task.WhenAll(commits);
        Assert.That(
            results.Select(result => ((MetadataResult.Committed)result).Revision),
            Is.EqualTo(Enumerable.Range(1, 200))
        );
        Assert.That(await _store.Read("key/", CancellationToken.None), Has.Length.EqualTo(200));
    }

    [Test]
    public async Task AnEmptyValueIsNoDeletion()
    {
        await _store.Commit([], [new("a", [])], CancellationToken.None);
        Assert.That((await _store.Read("a", CancellationToken.None)).Single().Value, Is.Empty);
        await _store.Commit([new("a", 1)], [new("a", null)], CancellationToken.None);
        Assert.That(await _store.Read("", CancellationToken.None), Is.Empty);
    }

    [Test]
    public async Task AfterTheEndACallSaysSo()
    {
        await _store.DisposeAsync();
        Assert.That(
            async () => await _store.Commit([], [], CancellationToken.None),
            Throws.InstanceOf<ObjectDisposedException>()
        );
    }
}
