using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>Does operations to a store and to the reference, and holds every answer of the one to the other.</summary>
internal sealed partial class ConformanceRun(Func<Task<INodeStore>> open, long maxChanges) : IAsyncDisposable
{
    private readonly ReferenceStore reference = new();
    private INodeStore? store;

    public async Task Apply(StoreOperation operation)
    {
        store ??= await open();
        switch (operation)
        {
            case StoreOperation.Put put:
                await Put(store, put);
                break;
            case StoreOperation.ConcurrentPuts puts:
                await PutAtOnce(store, puts);
                break;
            case StoreOperation.Read read:
                await Read(store, read);
                break;
            case StoreOperation.Scan scan:
                await Scan(store, scan);
                break;
            case StoreOperation.ScanRanges scan:
                await ScanRanges(store, scan);
                break;
            case StoreOperation.Raise raise:
                await Raise(store, raise);
                break;
            case StoreOperation.Make make:
                await Make(store, make);
                break;
            case StoreOperation.Drop drop:
                await Drop(store, drop);
                break;
            case StoreOperation.Digests digests:
                await Digests(store, digests);
                break;
            case StoreOperation.Heal heal:
                await Heal(store, heal);
                break;
            case StoreOperation.Scrub scrub:
                await Scrub(store, scrub);
                break;
            case StoreOperation.Purge purge:
                await Purge(store, purge);
                break;
            case StoreOperation.Changes changes:
                await Changes(store, changes);
                break;
            case StoreOperation.LogChanges log:
                await LogChanges(store, log);
                break;
            case StoreOperation.BeginFill begin:
                await BeginFill(store, begin);
                break;
            case StoreOperation.EndFill end:
                await EndFill(store, end);
                break;
            case StoreOperation.Reboot:
                await store.DisposeAsync();
                store = await open();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(operation), operation, "an operation this run knows");
        }
    }

    /// <summary>Everything that is there, against everything that should be.</summary>
    public async Task CompareAll()
    {
        store ??= await open();
        var statuses = await store.Stores(CancellationToken.None);
        Assert.That(statuses.Select(status => status.Store), Is.EquivalentTo(reference.Stores.Keys));
        foreach (var status in statuses)
        {
            var expected = reference.Stores[status.Store];
            var live = expected.Documents.Values.Count(document => !document.IsTombstone);
            Assert.That(status.Range, Is.EqualTo(expected.Range));
            Assert.That(status.Incarnation, Is.EqualTo(expected.Incarnation));
            Assert.That(status.Migration, Is.EqualTo(expected.Migration));
            Assert.That(status.Documents, Is.EqualTo(live));
            Assert.That(status.Tombstones, Is.EqualTo(expected.Documents.Count - live));
            Assert.That(status.Health, Is.EqualTo(expected.IsFilling ? StoreHealth.Filling : StoreHealth.Serving));
            var stamp = new RouteStamp(status.Store, 100);
            if (expected.IsFilling)
            {
                await CompareFilling(store, stamp, status.Store);
                Assert.That((await store.Changes(WholeLog(stamp, status.Store), default)).IsChangesNotServing);
                continue;
            }

            await CompareScan(store, stamp, status.Store, HashRange.Full, null, 1000, 1 << 20, true);
            await CompareDigests(store, stamp, status.Store, [HashRange.Full, .. StoreUniverse.Ranges]);
            await CompareChanges(store, WholeLog(stamp, status.Store));
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (store is not null)
        {
            await store.DisposeAsync();
        }
    }

    private async Task Put(INodeStore store, StoreOperation.Put put)
    {
        var stamp = StoreUniverse.Stamp(put.Route, put.Epoch);
        var id = StoreUniverse.Shard(put.Store);
        var documents = put.Batch.Select(one => StoreUniverse.DocumentAt(one.Key, one.Version)).ToArray();
        var replies = await store.Put(
            [.. documents.Select(document => new PutCommand(stamp, id, document))],
            CancellationToken.None
        );
        Assert.That(replies, Has.Length.EqualTo(documents.Length));
        foreach (var (document, reply) in documents.Zip(replies))
        {
            Assert.That(
                Describe(reply),
                Is.EqualTo(Expected(stamp, id, document)),
                $"{document} in {id} under {stamp}"
            );
            CheckTold(reply is PutReply.StaleEpoch stale ? stale.Route?.Value : null, stamp, reply.IsStaleEpoch);
        }
    }

    /// <summary>What the reference answers; it has taken the put afterwards.</summary>
    private string Expected(RouteStamp stamp, ShardId id, Document document)
    {
        if (!reference.Admits(stamp))
        {
            return $"stale {reference.Barrier(stamp.Shard)}";
        }

        if (!reference.Stores.TryGetValue(id, out var contents))
        {
            return "not serving";
        }

        if (contents.IsFilling && document.Entry.Origin != Origin.Migration)
        {
            return "not serving";
        }

        if (!contents.Range.Contains(document.Key))
        {
            return "refused WrongShard";
        }

        if (document.Entry.Origin != Origin.Migration)
        {
            contents.Log.Add(Change.Of(document.Entry), maxChanges);
        }

        var name = ReferenceStore.NameOf(document.Key);
        var stored = contents.Documents.GetValueOrDefault(name);
        if (stored is not null && document.Version.CompareTo(stored.Version) <= 0)
        {
            return $"superseded {stored.Version}";
        }

        contents.Documents[name] = document;
        return $"applied {stored is { IsTombstone: false }}";
    }

    private static string Describe(PutReply reply) =>
        reply switch
        {
            PutReply.Applied applied => $"applied {applied.PreviousWasLive}",
            PutReply.Superseded superseded => $"superseded {superseded.Stored}",
            PutReply.StaleEpoch stale => $"stale {stale.Epoch}",
            PutReply.Refused refused => $"refused {refused.Item.Code}",
            _ => "not serving",
        };

    private async Task PutAtOnce(INodeStore store, StoreOperation.ConcurrentPuts puts)
    {
        var stamp = StoreUniverse.Stamp(puts.Route, puts.Epoch);
        var id = StoreUniverse.Shard(puts.Store);
        var documents = puts.Batch.Select(one => StoreUniverse.DocumentAt(one.Key, one.Version)).ToArray();
        var before = reference.Stores.TryGetValue(id, out var contents) ? contents.Documents.ToDictionary() : [];
        var replies = await Task.WhenAll(
            documents.Select(document =>
                Task.Run(() => store.Put([new PutCommand(stamp, id, document)], CancellationToken.None))
            )
        );
        foreach (var (document, reply) in documents.Zip(replies, (document, reply) => (document, reply.Single())))
        {
            var expected = Expected(stamp, id, document);
            if (!expected.StartsWith("applied") && !expected.StartsWith("superseded"))
            {
                Assert.That(Describe(reply), Is.EqualTo(expected));
            }
            else
            {
                // The order they came in is the store's; the outcome is not.
                var holds =
                    reply is PutReply.Applied
                    || reply is PutReply.Superseded s && s.Stored.CompareTo(document.Version) >= 0;
                Assert.That(holds, $"{document} in {id} was answered {Describe(reply)}");
            }
        }

        foreach (
            var group in documents
                .Zip(replies, (document, reply) => (document, reply.Single()))
                .GroupBy(x => x.document.Key)
        )
        {
            var was = before.GetValueOrDefault(ReferenceStore.NameOf(group.Key));
            var greatest = group.Max(x => x.document.Version);
            if (
                contents is { IsFilling: false }
                && contents.Range.Contains(group.Key)
                && reference.Barrier(stamp.Shard) == stamp.Epoch
            )
            {
                var applied = group.Count(x => x.document.Version.Equals(greatest) && x.Item2.IsApplied);
                var isNew = was is null || greatest.CompareTo(was.Version) > 0;
                Assert.That(
                    applied,
                    Is.EqualTo(isNew ? 1 : 0),
                    "the greatest version is applied once, where it is new"
                );
            }
        }
    }

    private async Task Read(INodeStore store, StoreOperation.Read read)
    {
        var stamp = StoreUniverse.Stamp(read.Route, read.Epoch);
        var id = StoreUniverse.Shard(read.Store);
        var key = StoreUniverse.KeyAt(read.Key);
        var reply = (await store.Read([new ReadCommand(stamp, id, key)], CancellationToken.None)).Single();
        var admits = reference.Admits(stamp);
        var contents = reference.Serving(id);
        var said = reply switch
        {
            ReadReply.Found found => StoreUniverse.Describe(found.Item),
            ReadReply.ReadStaleEpoch stale => $"stale {stale.Epoch}",
            ReadReply.ReadRefused refused => $"refused {refused.Item.Code}",
            _ => reply.IsAbsent ? "absent" : "not serving",
        };
        var expected =
            !admits ? $"stale {reference.Barrier(stamp.Shard)}"
            : contents is null ? "not serving"
            : !contents.Range.Contains(key) ? "refused WrongShard"
            : contents.Documents.TryGetValue(ReferenceStore.NameOf(key), out var stored)
                ? StoreUniverse.Describe(stored)
            : "absent";
        Assert.That(said, Is.EqualTo(expected));
        CheckTold(reply is ReadReply.ReadStaleEpoch late ? late.Route?.Value : null, stamp, reply.IsReadStaleEpoch);
    }

    private async Task Scan(INodeStore store, StoreOperation.Scan scan)
    {
        var stamp = StoreUniverse.Stamp(scan.Route, scan.Epoch);
        var id = StoreUniverse.Shard(scan.Store);
        var range = StoreUniverse.RangeAt(scan.Range);
        var after = scan.After < 0 ? null : StoreUniverse.KeyAt(scan.After);
        if (reference.Admits(stamp) && reference.Serving(id) is not null)
        {
            await CompareScan(store, stamp, id, range, after, scan.MaxEntries, scan.MaxBytes, scan.WithBodies);
            return;
        }

        CheckUnscanned(
            stamp,
            await store.ScanPage(
                new ScanCommand(stamp, id, range, after, scan.MaxEntries, scan.MaxBytes, scan.WithBodies),
                CancellationToken.None
            )
        );
    }

    private void CheckUnscanned(RouteStamp stamp, ScanReply reply)
    {
        if (stamp.Epoch < reference.Barrier(stamp.Shard))
        {
            Assert.That((reply as ScanReply.ScanStaleEpoch)?.Epoch, Is.EqualTo(reference.Barrier(stamp.Shard)));
            CheckTold(((ScanReply.ScanStaleEpoch)reply).Route?.Value, stamp, true);
        }
        else
        {
            Assert.That(reply.IsScanNotServing);
        }
    }

    private async Task CompareScan(
        INodeStore store,
        RouteStamp stamp,
        ShardId id,
        HashRange range,
        Key? after,
        int maxEntries,
        int maxBytes,
        bool withBodies
    )
    {
        reference.Admits(stamp);
        var expected = reference.Slice(id, range, after);
        var seen = 0;
        bool isLast;
        do
        {
            var command = new ScanCommand(stamp, id, range, after, maxEntries, maxBytes, withBodies);
            var reply = await store.ScanPage(command, CancellationToken.None);
            Assert.That(reply, Is.TypeOf<ScanReply.Page>());
            var page = ((ScanReply.Page)reply).Item;
            isLast = page.IsLast;
            Assert.That(page.Entries, Has.Length.AtMost(maxEntries));
            Assert.That(page.Bodies, Has.Length.EqualTo(withBodies ? page.Entries.Length : 0));
            if (!isLast)
            {
                Assert.That(page.Entries, Is.Not.Empty, "a page that is not the last leads on");
            }

            if (page.Entries.Length > 1)
            {
                Assert.That(page.Bodies.Sum(body => (long)body.Length), Is.AtMost(maxBytes));
            }

            for (var i = 0; i < page.Entries.Length; i++)
            {
                Assert.That(seen, Is.LessThan(expected.Length), "more entries than there are");
                var wanted = expected[seen++];
                Assert.That(StoreUniverse.Describe(page.Entries[i]), Is.EqualTo(StoreUniverse.Describe(wanted.Entry)));
                if (withBodies)
                {
                    Assert.That(page.Bodies[i].Span.SequenceEqual(wanted.Body.Span), $"body of {wanted}");
                }

                after = page.Entries[i].Key;
            }

            Assert.That(isLast, Is.EqualTo(seen == expected.Length), "IsLast where nothing is behind, and only there");
        } while (!isLast);
    }

    private async Task Raise(INodeStore store, StoreOperation.Raise raise)
    {
        var stamp = StoreUniverse.Stamp(raise.Route, raise.Epoch);
        var id = StoreUniverse.Shard(raise.Store);
        var route = raise.Tell ? StoreUniverse.Told(raise.Route, raise.Epoch) : null;
        var reply = (
            await store.RaiseBarriers([new BarrierCommand(stamp, id, route)], CancellationToken.None)
        ).Single();
        if (!reference.Admits(stamp))
        {
            Assert.That((reply as BarrierReply.BarrierAbove)?.Epoch, Is.EqualTo(reference.Barrier(stamp.Shard)));
            return;
        }

        if (raise.Tell)
        {
            reference.Tell(stamp);
        }

        if (reference.Serving(id) is { } contents)
        {
            Assert.That((reply as BarrierReply.Confirmed)?.Incarnation, Is.EqualTo(contents.Incarnation));
        }
        else
        {
            Assert.That(reply.IsConfirmedNotServing);
        }
    }

    private async Task Make(INodeStore store, StoreOperation.Make make)
    {
        var stamp = StoreUniverse.Stamp(make.Route, make.Epoch);
        var (id, range) = StoreUniverse.Shards[make.Store];
        var reply = await store.Make(new MakeCommand(stamp, id, range, make.Migration, 1), CancellationToken.None);
        if (!reference.Admits(stamp))
        {
            Assert.That((reply as MakeReply.MakeStaleEpoch)?.Epoch, Is.EqualTo(reference.Barrier(stamp.Shard)));
            return;
        }

        Assert.That(reply, Is.TypeOf<MakeReply.Made>());
        var incarnation = ((MakeReply.Made)reply).Incarnation;
        if (reference.Stores.TryGetValue(id, out var contents))
        {
            Assert.That(incarnation, Is.EqualTo(contents.Incarnation), "a repeated making answers what is there");
            return;
        }

        Assert.That(reference.Spent.Add(incarnation), "a store made anew is another incarnation");
        reference.Stores.Add(id, new ReferenceStore.Contents(range, make.Migration, incarnation));
    }

    private async Task Drop(INodeStore store, StoreOperation.Drop drop)
    {
        var stamp = StoreUniverse.Stamp(drop.Route, drop.Epoch);
        var id = StoreUniverse.Shard(drop.Store);
        var contents = reference.Stores.GetValueOrDefault(id);
        var incarnation = drop.Incarnation switch
        {
            0 => contents?.Incarnation ?? Guid.Empty,
            1 => Guid.Empty,
            _ => new Guid(1, 2, 3, new byte[8]),
        };
        var reply = await store.Drop(new DropCommand(stamp, id, incarnation, drop.Migration), CancellationToken.None);
        if (!reference.Admits(stamp))
        {
            Assert.That((reply as DropReply.DropStaleEpoch)?.Epoch, Is.EqualTo(reference.Barrier(stamp.Shard)));
            return;
        }

        if (contents is null)
        {
            Assert.That(reply.IsAlreadyGone);
            return;
        }

        var isTheSame = drop.Incarnation != 2 && (drop.Migration == 0 || drop.Migration == contents.Migration);
        Assert.That(isTheSame ? reply.IsDropped : reply.IsNotTheSame, $"{reply}");
        if (isTheSame)
        {
            reference.Stores.Remove(id);
        }
    }

    /// <summary>A refusal hands on the route that the standing barrier was raised with, wherever one was told.</summary>
    private void CheckTold(Route? route, RouteStamp stamp, bool isStale)
    {
        if (!isStale)
        {
            return;
        }

        if (route is not null)
        {
            Assert.That(route.Shard, Is.EqualTo(stamp.Shard));
            Assert.That(route.Epoch, Is.AtMost(reference.Barrier(stamp.Shard)));
        }

        if (reference.WasTold(stamp.Shard))
        {
            Assert.That(route, Is.Not.Null);
            Assert.That(route!.Epoch, Is.EqualTo(reference.Barrier(stamp.Shard)));
            Assert.That(route.Owners, Is.EqualTo(new[] { "n1", "n2" }));
            Assert.That(route.Writer.Term, Is.EqualTo(route.Epoch));
        }
    }
}
