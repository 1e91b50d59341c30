using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;

namespace Miroir.Stores.Tests.Conformance;

/// <summary>Change logs.</summary>
internal sealed partial class ConformanceRun
{
    private static ChangesCommand WholeLog(RouteStamp stamp, ShardId id) =>
        new(
            stamp,
            id,
            HashRange.Full,
            DocumentVersion.Zero,
            new DocumentVersion(long.MaxValue, long.MaxValue),
            int.MaxValue
        );

    private async Task Changes(INodeStore store, StoreOperation.Changes changes)
    {
        var stamp = StoreUniverse.Stamp(changes.Route, changes.Epoch);
        var id = StoreUniverse.Shard(changes.Store);
        var command = new ChangesCommand(
            stamp,
            id,
            StoreUniverse.RangeAt(changes.Range),
            changes.After < 0 ? DocumentVersion.Zero : StoreUniverse.VersionAt(changes.After),
            StoreUniverse.VersionAt(changes.Through),
            changes.MaxChanges
        );
        if (reference.Admits(stamp) && reference.Serving(id) is not null)
        {
            await CompareChanges(store, command);
            return;
        }

        var reply = await store.Changes(command, CancellationToken.None);
        var stale = reply as ChangesReply.ChangesStaleEpoch;
        CheckRefused(stamp, reply.IsChangesNotServing, stale?.Epoch, stale?.Route?.Value);
    }

    /// <summary>Every page from the command's beginning to the last.</summary>
    private async Task CompareChanges(INodeStore store, ChangesCommand command)
    {
        reference.Admits(command.Stamp);
        var log = reference.Stores[command.Store].Log;
        var expected = log.Slice(command.Range, command.After, command.Through);
        var seen = new List<Change>();
        bool isLast;
        do
        {
            var reply = await store.Changes(command, CancellationToken.None);
            Assert.That(reply, Is.TypeOf<ChangesReply.Changes>());
            var page = ((ChangesReply.Changes)reply).Item;
            isLast = page.IsLast;
            seen.AddRange(page.Changes);
            Assert.That(page.Floor, Is.EqualTo(log.FloorOf(command.Range)));
            if (page.Changes is [.., var last])
            {
                Assert.That(
                    page.Changes.Take(..^1).Skip(command.MaxChanges - 1).Select(change => change.Position),
                    Is.All.EqualTo(last.Position),
                    "beyond the bound there is only what stands at the same position"
                );
                command = command.Behind(last.Position);
            }
            else
            {
                Assert.That(isLast, "a page that is not the last leads on");
            }

            Assert.That(
                isLast,
                Is.EqualTo(seen.Count >= expected.Length),
                "IsLast where nothing is behind, and only there"
            );
        } while (!isLast);

        Assert.That(seen.Select(StoreUniverse.Describe), Is.EqualTo(expected.Select(StoreUniverse.Describe)));
    }

    private async Task LogChanges(INodeStore store, StoreOperation.LogChanges log)
    {
        var stamp = StoreUniverse.Stamp(log.Route, log.Epoch);
        var id = StoreUniverse.Shard(log.Store);
        var changes = Array.ConvertAll(
            log.Batch,
            one =>
                Change.At(StoreUniverse.VersionAt(one.Position), StoreUniverse.DocumentAt(one.Key, one.Version).Entry)
        );
        var floor = log.Floor < 0 ? DocumentVersion.Zero : StoreUniverse.VersionAt(log.Floor);
        var range = StoreUniverse.RangeAt(log.Range);
        var command = new LogChangesCommand(stamp, id, changes, floor, range);
        var reply = await store.LogChanges(command, CancellationToken.None);
        if (!reference.Admits(stamp) || !reference.Stores.TryGetValue(id, out var contents))
        {
            var stale = reply as LogChangesReply.LogStaleEpoch;
            CheckRefused(stamp, reply.IsLogNotServing, stale?.Epoch, stale?.Route?.Value);
            return;
        }

        if (changes.Any(change => !contents.Range.Contains(change.Key)))
        {
            Assert.That((reply as LogChangesReply.LogRefused)?.Item.Code, Is.EqualTo(RefusalCode.WrongShard));
            return;
        }

        Assert.That(reply.IsLogged, $"{reply}");
        // What is said of all that a store holds is said of what it does not hold, too.
        var isOfAll = range.Contains(contents.Range.Lo) && range.Contains(contents.Range.Last);
        contents.Log.Raise(isOfAll ? HashRange.Full : range, floor);
        foreach (var change in changes)
        {
            contents.Log.Add(change, maxChanges);
        }
    }
}
