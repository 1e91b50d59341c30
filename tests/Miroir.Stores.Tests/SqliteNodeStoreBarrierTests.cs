using System.Collections.Concurrent;
using Miroir.Core;
using Miroir.Stores.Sqlite;
using NUnit.Framework;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests;

public sealed class SqliteNodeStoreBarrierTests
{
    private const int Routes = 3;
    private const int Writers = 12;
    private const int LastEpoch = 25;
    private const int PutsByEpoch = 30;

    /// <summary>
    /// Writers put under whatever epoch they believe in, new keys each time, into one store that all routes lead to. After
    /// each raise has returned the store is read: a put under an older epoch that is not there now must never appear.
    /// </summary>
    [Test, CancelAfter(120_000)]
    public async Task NoOlderPutCommitsAfterARaiseHasReturned(CancellationToken cancel)
    {
        using var folder = new TemporaryFolder();
        await using var store = SqliteNodeStore.Open(folder.Path, new() { MaxGroupPuts = 16 });
        await store.MakeShard(0);
        var believed = Enumerable.Repeat(1L, Routes).ToArray();
        var applied = new ConcurrentBag<string>();
        var refused = 0;
        var isDone = false;
        using var progress = new SemaphoreSlim(0);
        var nextEpoch = NewSignal();

        async Task Write(int writer)
        {
            for (var n = 0; !Volatile.Read(ref isDone); n++)
            {
                // Taken before the beliefs are read: who is refused for one that is over is not kept waiting for the next.
                var next = Volatile.Read(ref nextEpoch);
                var isOver = false;
                var commands = new List<PutCommand>();
                for (var i = 0; i < 3; i++)
                {
                    var route = (writer + n + i) % Routes;
                    var epoch = Volatile.Read(ref believed[route]);
                    var document = Live($"{route}.{epoch}.{writer}.{n}.{i}", 1, "{}");
                    commands.Add(new PutCommand(Stamp(route, epoch), Shard(0), document));
                }

                var replies = await store.Put(commands, cancel);
                for (var i = 0; i < replies.Length; i++)
                {
                    if (replies[i].IsApplied)
                    {
                        applied.Add(commands[i].Document.Key.Text);
                        progress.Release();
                    }
                    else if (replies[i].IsStaleEpoch)
                    {
                        Interlocked.Increment(ref refused);
                        isOver = true;
                    }
                    else
                        Assert.Fail($"{replies[i]}");
                }

                // A refusal costs the store next to nothing, so that writers that go on at once would keep the threads
                // from the raises that they are to meet.
                if (isOver)
                    await next.Task.WaitAsync(cancel);
            }
        }

        var writers = Enumerable.Range(0, Writers).Select(writer => Task.Run(() => Write(writer), cancel)).ToList();
        var seen = new Dictionary<(int Route, long Epoch), HashSet<string>>();
        for (var epoch = 2L; epoch <= LastEpoch; epoch++)
        {
            var raises = Enumerable
                .Range(0, Routes)
                .Select(route => new BarrierCommand(Stamp(route, epoch), Shard(0), null))
                .ToArray();
            var replies = await store.RaiseBarriers(raises, cancel);
            Assert.That(replies, Has.All.Matches<BarrierReply>(reply => reply is BarrierReply.Confirmed));
            var keys = await store.Keys(0, epoch);
            foreach (var group in keys.GroupBy(RouteAndEpoch).Where(group => group.Key.Epoch < epoch))
                seen.TryAdd(group.Key, [.. group]);
            for (var route = 0; route < Routes; route++)
            {
                seen.TryAdd((route, epoch - 1), []);
                Volatile.Write(ref believed[route], epoch);
            }

            Interlocked.Exchange(ref nextEpoch, NewSignal()).SetResult();

            // The next raise meets writers that are busy under this epoch.
            for (var stale = progress.CurrentCount; stale > 0; stale--)
                await progress.WaitAsync(cancel);
            for (var put = 0; put < PutsByEpoch; put++)
                await progress.WaitAsync(cancel);
        }

        Volatile.Write(ref isDone, true);
        Volatile.Read(ref nextEpoch).TrySetResult();
        await Task.WhenAll(writers);
        var last = await store.Keys(0, LastEpoch);
        Assert.That(last, Is.EquivalentTo(applied), "what was acknowledged is there, and nothing else");
        foreach (var group in last.GroupBy(RouteAndEpoch).Where(group => group.Key.Epoch < LastEpoch))
            Assert.That(group, Is.SubsetOf(seen[group.Key]), $"{group.Key} was over when its barrier was raised");
        Assert.That(refused, Is.Positive, "raises met puts");
        Assert.That(last, Has.Count.GreaterThan((LastEpoch - 1) * PutsByEpoch));
    }

    [Test]
    public async Task ManyStoresAreWrittenAtOnceThroughFewOpenFiles()
    {
        const int Stores = 30;
        using var folder = new TemporaryFolder();
        await using (var store = SqliteNodeStore.Open(folder.Path, new() { MaxOpenFiles = 3, WriterThreads = 4 }))
        {
            for (var shard = 0; shard < Stores; shard++)
                await store.MakeShard(shard);
            var batches = Enumerable
                .Range(0, 40)
                .Select(batch =>
                    Task.Run(() =>
                        store.Put(
                            [
                                .. Enumerable
                                    .Range(0, Stores)
                                    .Select(shard => new PutCommand(
                                        Stamp(shard, 1),
                                        Shard(shard),
                                        Live($"{batch}", 1, "{}")
                                    )),
                            ],
                            CancellationToken.None
                        )
                    )
                );
            var replies = await Task.WhenAll(batches);
            Assert.That(replies.SelectMany(all => all), Has.All.Matches<PutReply>(reply => reply is PutReply.Applied));
            var status = await store.Stores(CancellationToken.None);
            Assert.That(status.Select(one => one.Documents), Is.EqualTo(Enumerable.Repeat(40L, Stores)));
        }

        await using var again = SqliteNodeStore.Open(folder.Path);
        for (var shard = 0; shard < Stores; shard++)
            Assert.That(await again.Keys(shard, 1), Has.Count.EqualTo(40));
    }

    [Test]
    public async Task StoresAreDroppedAndMadeWhileTheyAreWrittenAndRead()
    {
        using var folder = new TemporaryFolder();
        await using var store = SqliteNodeStore.Open(folder.Path, new() { MaxOpenFiles = 2 });
        var isDone = false;
        var strange = new ConcurrentBag<string>();

        async Task Use(int user)
        {
            for (var n = 0; !Volatile.Read(ref isDone); n++)
            {
                var shard = (user + n) % 3;
                var put = (await store.PutAll(shard, 1, Live($"{n}", 1, "{}"))).Single();
                if (!put.IsApplied && !put.IsSuperseded && !put.IsNotServing)
                    strange.Add($"{put}");
                var read = await store.ReadOne(shard, 1, $"{n}");
                if (!read.IsFound && !read.IsAbsent && !read.IsReadNotServing)
                    strange.Add($"{read}");
                // To the end of the queue that all threads share. What is refused or absent is answered without waiting for
                // the disk, and a user who never waits has its thread go on with it alone: what makes and drops would wait.
                await Task.Yield();
            }
        }

        var users = Enumerable.Range(0, 6).Select(user => Task.Run(() => Use(user))).ToList();
        for (var round = 0; round < 15; round++)
        {
            for (var shard = 0; shard < 3; shard++)
            {
                var incarnation = await store.MakeShard(shard);
                var drop = new DropCommand(Stamp(shard, 1), Shard(shard), incarnation, 0);
                Assert.That((await store.Drop(drop, CancellationToken.None)).IsDropped);
            }
        }

        Volatile.Write(ref isDone, true);
        await Task.WhenAll(users);
        Assert.That(strange, Is.Empty);
        Assert.That(await store.Stores(CancellationToken.None), Is.Empty);
        Assert.That(Directory.GetFiles(folder.Path, "*.db*", SearchOption.AllDirectories).Where(IsShard), Is.Empty);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static bool IsShard(string file) => file.Contains("shards", StringComparison.Ordinal);

    private static (int Route, long Epoch) RouteAndEpoch(string key)
    {
        var parts = key.Split('.');
        return (int.Parse(parts[0]), long.Parse(parts[1]));
    }
}
