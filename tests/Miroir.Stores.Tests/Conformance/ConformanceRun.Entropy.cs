using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>Digests, heals, scrubs and purges, and stores that are filled.</summary>
internal sealed partial class ConformanceRun
{
    private async Task Digests(INodeStore store, StoreOperation.Digests digests)
    {
        var stamp = StoreUniverse.Stamp(digests.Route, digests.Epoch);
        var id = StoreUniverse.Shard(digests.Store);
        var ranges = Array.ConvertAll(digests.Bounds, bounds => StoreUniverse.Between(bounds.From, bounds.To));
        if (reference.Admits(stamp) && reference.Serving(id) is not null)
        {
            await CompareDigests(store, stamp, id, ranges);
            return;
        }

        var reply = await store.Digests(new DigestCommand(stamp, id, ranges), CancellationToken.None);
        var stale = reply as DigestReply.DigestStaleEpoch;
        CheckRefused(stamp, reply.IsDigestNotServing, stale?.Epoch, stale?.Route?.Value);
    }

    private async Task CompareDigests(INodeStore store, RouteStamp stamp, ShardId id, HashRange[] ranges)
    {
        reference.Admits(stamp);
        var contents = reference.Stores[id];
        var reply = await store.Digests(new DigestCommand(stamp, id, ranges), CancellationToken.None);
        Assert.That(reply, Is.TypeOf<DigestReply.Digests>());
        var digests = ((DigestReply.Digests)reply).Item;
        Assert.That(digests.Incarnation, Is.EqualTo(contents.Incarnation));
        Assert.That(digests.Floor, Is.EqualTo(contents.Floor));
        Assert.That(
            digests.Digests,
            Is.EqualTo(Array.ConvertAll(ranges, range => ReferenceStore.DigestOf(contents, range))),
            $"digests of {string.Join(' ', ranges)}"
        );
    }

    private async Task ScanRanges(INodeStore store, StoreOperation.ScanRanges scan)
    {
        var stamp = StoreUniverse.Stamp(scan.Route, scan.Epoch);
        var id = StoreUniverse.Shard(scan.Store);
        var ranges = StoreUniverse.Apart(scan.Bounds);
        var after = scan.After < 0 ? null : StoreUniverse.KeyAt(scan.After);
        var command = new RangesCommand(stamp, id, ranges, after, scan.MaxEntries);
        if (!reference.Admits(stamp) || reference.Serving(id) is null)
        {
            CheckUnscanned(stamp, await store.ScanRangesPage(command, CancellationToken.None));
            return;
        }

        string[] expected =
        [
            .. ranges
                .SelectMany(range => reference.Slice(id, range, after))
                .Select(document => StoreUniverse.Describe(document.Entry)),
        ];
        List<string> seen = [];
        ScanPage page;
        do
        {
            var reply = await store.ScanRangesPage(command, CancellationToken.None);
            Assert.That(reply, Is.TypeOf<ScanReply.Page>());
            page = ((ScanReply.Page)reply).Item;
            Assert.That(page.Bodies, Is.Empty);
            Assert.That(page.Entries, Has.Length.AtMost(scan.MaxEntries));
            seen.AddRange(page.Entries.Select(entry => StoreUniverse.Describe(entry)));
            if (!page.IsLast)
            {
                Assert.That(page.Entries, Is.Not.Empty, "a page that is not the last leads on");
                command = command.Behind(page.Entries[^1].Key);
            }

            Assert.That(page.IsLast, Is.EqualTo(seen.Count >= expected.Length), "IsLast where nothing is behind");
        } while (!page.IsLast);

        Assert.That(seen, Is.EqualTo(expected), $"entries of {string.Join(' ', ranges)} behind {after}");
    }

    private async Task Heal(INodeStore store, StoreOperation.Heal heal)
    {
        var stamp = StoreUniverse.Stamp(heal.Route, heal.Epoch);
        var id = StoreUniverse.Shard(heal.Store);
        var document = StoreUniverse.HealedAt(heal.Key, heal.Version);
        var contents = reference.Serving(id);
        var name = ReferenceStore.NameOf(document.Key);
        var stored = contents?.Documents.GetValueOrDefault(name);
        var wrong = heal.Wrong == 0 && stored is not null ? stored.Entry.Digest : new Digest(1, (ulong)heal.Wrong);
        var command = new HealCommand(stamp, id, document, wrong);
        var reply = (await store.Heal([command], CancellationToken.None)).Single();
        if (!reference.Admits(stamp) || contents is null)
        {
            var stale = reply as HealReply.HealStaleEpoch;
            CheckRefused(stamp, reply.IsHealNotServing, stale?.Epoch, stale?.Route?.Value);
            return;
        }

        var isWrong =
            stored is not null
            && stored.Version.Equals(document.Version)
            && stored.Entry.Digest.Equals(wrong)
            && !stored.Entry.Digest.Equals(document.Entry.Digest);
        Assert.That(
            reply,
            Is.EqualTo(isWrong ? HealReply.Healed : HealReply.NewNothingToHeal(stored?.Version ?? DocumentVersion.Zero))
        );
        if (isWrong)
        {
            contents.Documents[name] = document;
        }
    }

    /// <summary>Nothing is wrong in these stores: it must find just that, and come to an end.</summary>
    private async Task Scrub(INodeStore store, StoreOperation.Scrub scrub)
    {
        var stamp = StoreUniverse.Stamp(scrub.Route, scrub.Epoch);
        var id = StoreUniverse.Shard(scrub.Store);
        var leaf = scrub.FromKey < 0 ? 0 : DigestGrid.leafOf(StoreUniverse.KeyAt(scrub.FromKey).Hash);
        var admits = reference.Admits(stamp);
        if (!admits || reference.Serving(id) is not { } contents)
        {
            var reply = await store.Scrub(new ScrubCommand(stamp, id, leaf, scrub.MaxBytes), CancellationToken.None);
            var stale = reply as ScrubReply.ScrubStaleEpoch;
            CheckRefused(stamp, reply.IsScrubNotServing, stale?.Epoch, stale?.Route?.Value);
            return;
        }

        var expected = contents
            .Documents.Values.Where(document => DigestGrid.leafOf(document.Key.Hash) >= leaf)
            .ToArray();
        var (entries, bytes) = (0L, 0L);
        while (leaf >= 0)
        {
            var reply = await store.Scrub(new ScrubCommand(stamp, id, leaf, scrub.MaxBytes), CancellationToken.None);
            Assert.That(reply, Is.TypeOf<ScrubReply.Scrubbed>());
            var part = ((ScrubReply.Scrubbed)reply).Item;
            Assert.That((part.Rotten.Length, part.DriftedLeaves), Is.EqualTo((0, 0)));
            Assert.That(part.NextLeaf, Is.EqualTo(-1).Or.GreaterThan(leaf));
            entries += part.Entries;
            bytes += part.Bytes;
            leaf = part.NextLeaf;
        }

        Assert.That(entries, Is.EqualTo(expected.Length));
        Assert.That(bytes, Is.EqualTo(expected.Sum(document => (long)document.Body.Length)));
    }

    private async Task Purge(INodeStore store, StoreOperation.Purge purge)
    {
        var stamp = StoreUniverse.Stamp(purge.Route, purge.Epoch);
        var id = StoreUniverse.Shard(purge.Store);
        var below = StoreUniverse.VersionAt(purge.Version);
        var contents = reference.Serving(id);
        var incarnation =
            purge.Incarnation == 0 && contents is not null ? contents.Incarnation : new Guid(1, 2, 3, new byte[8]);
        var reply = await store.Purge(new PurgeCommand(stamp, id, incarnation, below), CancellationToken.None);
        if (!reference.Admits(stamp) || contents is null || purge.Incarnation != 0)
        {
            var stale = reply as PurgeReply.PurgeStaleEpoch;
            CheckRefused(stamp, reply.IsPurgeNotServing, stale?.Epoch, stale?.Route?.Value);
            return;
        }

        var gone = contents
            .Documents.Where(pair => pair.Value.IsTombstone && pair.Value.Version.CompareTo(below) < 0)
            .Select(pair => pair.Key)
            .ToArray();
        Assert.That(reply, Is.EqualTo(PurgeReply.NewPurged(gone.Length)));
        foreach (var name in gone)
        {
            contents.Documents.Remove(name);
        }

        contents.Floor = below.CompareTo(contents.Floor) > 0 ? below : contents.Floor;
    }

    private async Task BeginFill(INodeStore store, StoreOperation.BeginFill begin)
    {
        var stamp = StoreUniverse.Stamp(begin.Route, begin.Epoch);
        var (id, range) = StoreUniverse.Shards[begin.Store];
        var reply = await store.BeginFill(new MakeCommand(stamp, id, range, 0, 1), CancellationToken.None);
        if (!reference.Admits(stamp))
        {
            Assert.That((reply as MakeReply.MakeStaleEpoch)?.Epoch, Is.EqualTo(reference.Barrier(stamp.Shard)));
            return;
        }

        if (reference.Serving(id) is not null)
        {
            Assert.That(reply.IsMakeRefused, "what serves is not wiped");
            return;
        }

        Assert.That(reply, Is.TypeOf<MakeReply.Made>());
        var incarnation = ((MakeReply.Made)reply).Incarnation;
        if (reference.Stores.TryGetValue(id, out var filling))
        {
            Assert.That(incarnation, Is.EqualTo(filling.Incarnation), "what is being filled stays");
            return;
        }

        Assert.That(reference.Spent.Add(incarnation), "a store made anew is another incarnation");
        reference.Stores.Add(id, new ReferenceStore.Contents(range, 0, incarnation, isFilling: true));
    }

    private async Task EndFill(INodeStore store, StoreOperation.EndFill end)
    {
        var id = StoreUniverse.Shard(end.Store);
        var contents = reference.Stores.GetValueOrDefault(id);
        var incarnation =
            end.Incarnation == 0 && contents is not null ? contents.Incarnation : new Guid(1, 2, 3, new byte[8]);
        var isTheOne = contents is { IsFilling: true } && end.Incarnation == 0;
        Assert.That(await store.EndFill(id, incarnation, CancellationToken.None), Is.EqualTo(isTheOne));
        if (isTheOne)
        {
            contents!.IsFilling = false;
        }
    }

    private async Task CompareFilling(INodeStore store, RouteStamp stamp, ShardId id)
    {
        var scan = new ScanCommand(stamp, id, HashRange.Full, null, 1000, 1 << 20, true);
        var reply = await store.ScanFilling(scan, CancellationToken.None);
        Assert.That(reply, Is.TypeOf<ScanReply.Page>());
        var page = ((ScanReply.Page)reply).Item;
        Assert.That(
            Enumerable.Range(0, page.Entries.Length).Select(i => StoreUniverse.Describe(page.Document(i))),
            Is.EqualTo(reference.Slice(id, HashRange.Full, null).Select(StoreUniverse.Describe))
        );
    }

    /// <summary>Refused for its epoch, or else because nothing serves.</summary>
    private void CheckRefused(RouteStamp stamp, bool isNotServing, long? epoch, Route? route)
    {
        if (stamp.Epoch < reference.Barrier(stamp.Shard))
        {
            Assert.That(epoch, Is.EqualTo(reference.Barrier(stamp.Shard)));
            CheckTold(route, stamp, true);
            return;
        }

        Assert.That(isNotServing);
    }
}
