using System.Diagnostics.CodeAnalysis;
using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Stores.Memory;

/// <summary>
/// A node's disk that is a dictionary: the semantics of <see cref="INodeStore"/> to the letter, and what every other
/// store is compared with. It answers at once and never fails: put a <see cref="FaultyNodeStore"/> before it where a
/// test wants an honest world.
/// </summary>
/// <param name="entropy">Where incarnations come from.</param>
/// <param name="disk">What an earlier store left behind; null: an empty one.</param>
/// <param name="changes">How much of the change logs is kept; null: all.</param>
public sealed class MemoryNodeStore(IEntropy entropy, MemoryDisk? disk = null, ChangeRetention? changes = null)
    : INodeStore
{
    private readonly ChangeRetention retention = changes ?? ChangeRetention.Unlimited;
    private volatile bool isDisposed;

    /// <summary>What a store opened after this one starts from.</summary>
    public MemoryDisk Disk { get; } = Opened(disk);

    public Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel) =>
        Each(commands, cancel, Put);

    public Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel) =>
        Each(commands, cancel, Read);

    public Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel) =>
        Each(commands, cancel, Raise);

    public Task<MakeReply> Make(MakeCommand command, CancellationToken cancel) => One(command, cancel, Make);

    public Task<DropReply> Drop(DropCommand command, CancellationToken cancel) => One(command, cancel, Drop);

    public Task<ScanReply> ScanPage(ScanCommand command, CancellationToken cancel) => One(command, cancel, Scan);

    public Task<ScanReply> ScanRangesPage(RangesCommand command, CancellationToken cancel) =>
        One(command, cancel, ScanRanges);

    public Task<StoreStatus[]> Stores(CancellationToken cancel) =>
        One(
            0,
            cancel,
            _ =>
                Disk.Shards.OrderBy(pair => pair.Key.Index, StringComparer.Ordinal)
                    .ThenBy(pair => pair.Key.Generation)
                    .ThenBy(pair => pair.Key.Shard)
                    .Select(pair => pair.Value.Status)
                    .ToArray()
        );

    public Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel) => One(command, cancel, Digests);

    public Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel) =>
        Each(commands, cancel, Heal);

    public Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel) => One(command, cancel, Scrub);

    public Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel) => One(command, cancel, Purge);

    public Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel) =>
        One(command, cancel, Changes);

    public Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel) =>
        One(command, cancel, LogChanges);

    public Task<MakeReply> BeginFill(MakeCommand command, CancellationToken cancel) => One(command, cancel, BeginFill);

    public Task<ScanReply> ScanFilling(ScanCommand command, CancellationToken cancel) =>
        One(
            command,
            cancel,
            scan =>
                Disk.Shards.TryGetValue(scan.Store, out var shard) && shard.IsFilling
                    ? PageOf(shard, scan)
                    : ScanReply.ScanNotServing
        );

    public Task<bool> EndFill(ShardId store, Guid incarnation, CancellationToken cancel) =>
        One(
            store,
            cancel,
            id =>
            {
                if (!Disk.Shards.TryGetValue(id, out var shard) || !shard.IsFilling || shard.Incarnation != incarnation)
                {
                    return false;
                }

                shard.IsFilling = false;
                return true;
            }
        );

    /// <summary>The store's data as a failing disk leaves them: another body under a key, its digest as it was.</summary>
    public void Rot(ShardId store, Key key, ReadOnlyMemory<byte> body)
    {
        lock (Disk.Lock)
        {
            Disk.Shards[store].Rot(key, body);
        }
    }

    public ValueTask DisposeAsync()
    {
        isDisposed = true;
        return ValueTask.CompletedTask;
    }

    private Task<TReply> One<TCommand, TReply>(TCommand command, CancellationToken cancel, Func<TCommand, TReply> serve)
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        if (cancel.IsCancellationRequested)
        {
            return Task.FromCanceled<TReply>(cancel);
        }

        lock (Disk.Lock)
        {
            return Task.FromResult(serve(command));
        }
    }

    private Task<TReply[]> Each<TCommand, TReply>(
        IReadOnlyList<TCommand> commands,
        CancellationToken cancel,
        Func<TCommand, TReply> serve
    ) =>
        One(
            commands,
            cancel,
            all =>
            {
                var replies = new TReply[all.Count];
                for (var i = 0; i < replies.Length; i++)
                {
                    replies[i] = serve(all[i]);
                }

                return replies;
            }
        );

    private PutReply Put(PutCommand command)
    {
        if (!Admits(command.Stamp, out var barrier) && !Mutants.epochCheckLeftOut())
        {
            return PutReply.NewStaleEpoch(barrier.Epoch, Told(barrier));
        }

        var isThere = Disk.Shards.TryGetValue(command.Store, out var shard);
        if (!isThere || (shard!.IsFilling && command.Document.Entry.Origin != Origin.Migration))
        {
            return PutReply.NotServing;
        }

        return shard.Range.Contains(command.Document.Key)
            ? shard.Put(command.Document, retention)
            : PutReply.NewRefused(WrongShard(command.Document.Key, command.Store, shard));
    }

    private ReadReply Read(ReadCommand command)
    {
        if (!Admits(command.Stamp, out var barrier) && !Mutants.readsBelowTheBarrier())
        {
            return ReadReply.NewReadStaleEpoch(barrier.Epoch, Told(barrier));
        }

        if (!Serves(command.Store, out var shard))
        {
            return Mutants.notServingAnswersAbsent() ? ReadReply.Absent : ReadReply.ReadNotServing;
        }

        if (!shard.Range.Contains(command.Key))
        {
            return ReadReply.NewReadRefused(WrongShard(command.Key, command.Store, shard));
        }

        return shard.Find(command.Key) switch
        {
            null => ReadReply.Absent,
            { } rotten when RottenBody.Is(rotten.Entry, rotten.Body.Span) => ReadReply.NewReadRefused(Rotten(rotten)),
            { } document => ReadReply.NewFound(document),
        };
    }

    private BarrierReply Raise(BarrierCommand command)
    {
        if (!Admits(command.Stamp, out var barrier, isRaise: true))
        {
            return BarrierReply.NewBarrierAbove(barrier.Epoch);
        }

        if (command.Route is { Value: var route } && (barrier.Told is null || route.Epoch > barrier.Told.Epoch))
        {
            Disk.Barriers[command.Stamp.Shard] = barrier with { Told = route };
        }

        return Serves(command.Store, out var shard)
            ? BarrierReply.NewConfirmed(shard.Incarnation)
            : BarrierReply.ConfirmedNotServing;
    }

    private MakeReply Make(MakeCommand command)
    {
        if (!Admits(command.Stamp, out var barrier))
        {
            return MakeReply.NewMakeStaleEpoch(barrier.Epoch);
        }

        if (Mutants.makeWipes())
        {
            Disk.Shards.Remove(command.Store);
        }

        if (!Disk.Shards.TryGetValue(command.Store, out var shard))
        {
            shard = new MemoryShard(
                command.Store,
                command.Range,
                command.Migration,
                command.Attempt,
                Mutants.incarnationKept() ? new Guid(command.Store.Shard, 0, 1, new byte[8]) : entropy.NewGuid()
            );
            Disk.Shards.Add(command.Store, shard);
        }

        return shard.Range.Equals(command.Range)
            ? MakeReply.NewMade(shard.Incarnation)
            : MakeReply.NewMakeRefused(
                new Refusal(
                    RefusalCode.Failed,
                    $"store {command.Store} is there with range {shard.Range}, and can't be made with {command.Range}: drop it first"
                )
            );
    }

    private DropReply Drop(DropCommand command)
    {
        if (!Admits(command.Stamp, out var barrier) && !Mutants.dropsCarryNoEpoch())
        {
            return DropReply.NewDropStaleEpoch(barrier.Epoch);
        }

        if (!Disk.Shards.TryGetValue(command.Store, out var shard))
        {
            return DropReply.AlreadyGone;
        }

        var isTheSame =
            (command.Incarnation == Guid.Empty || command.Incarnation == shard.Incarnation)
            && (command.Migration == 0 || command.Migration == shard.Migration);
        if (!isTheSame)
        {
            return DropReply.NotTheSame;
        }

        Disk.Shards.Remove(command.Store);
        if (Mutants.barrierForgottenAtDrop())
        {
            Disk.Barriers.Remove(command.Store);
        }

        return DropReply.Dropped;
    }

    private ScanReply Scan(ScanCommand command) =>
        command.MaxEntries < 1 || (command.WithBodies && command.MaxBytes < 1)
            ? ScanReply.NewScanRefused(EmptyPage.Refusal(command.MaxEntries, command.MaxBytes))
            : Scan(command.Stamp, command.Store, shard => PageOf(shard, command));

    private ScanReply ScanRanges(RangesCommand command) =>
        command.MaxEntries < 1
            ? ScanReply.NewScanRefused(EmptyPage.Refusal(command.MaxEntries, 1))
            : Scan(command.Stamp, command.Store, shard => ScanReply.NewPage(shard.Page(command)));

    private ScanReply Scan(RouteStamp stamp, ShardId store, Func<MemoryShard, ScanReply> page)
    {
        if (!Admits(stamp, out var barrier) && !Mutants.readsBelowTheBarrier())
        {
            return ScanReply.NewScanStaleEpoch(barrier.Epoch, Told(barrier));
        }

        if (Serves(store, out var shard))
        {
            return page(shard);
        }

        return Mutants.notServingAnswersAbsent()
            ? ScanReply.NewPage(new ScanPage([], [], true))
            : ScanReply.ScanNotServing;
    }

    private static ScanReply PageOf(MemoryShard shard, ScanCommand command)
    {
        var page = shard.Page(command);
        for (var i = 0; i < page.Bodies.Length; i++)
        {
            if (RottenBody.Is(page.Entries[i], page.Bodies[i].Span))
            {
                return ScanReply.NewScanRefused(Rotten(page.Document(i)));
            }
        }

        return ScanReply.NewPage(page);
    }

    private DigestReply Digests(DigestCommand command)
    {
        if (!Admits(command.Stamp, out var barrier))
        {
            return DigestReply.NewDigestStaleEpoch(barrier.Epoch, Told(barrier));
        }

        return Serves(command.Store, out var shard)
            ? DigestReply.NewDigests(
                new RangeDigests(shard.Incarnation, shard.Floor, Array.ConvertAll(command.Ranges, shard.DigestOf))
            )
            : DigestReply.DigestNotServing;
    }

    private HealReply Heal(HealCommand command)
    {
        if (!Admits(command.Stamp, out var barrier) && !Mutants.upkeepCarriesNoEpoch())
        {
            return HealReply.NewHealStaleEpoch(barrier.Epoch, Told(barrier));
        }

        return Serves(command.Store, out var shard)
            ? shard.Heal(command.Document, command.Wrong)
            : HealReply.HealNotServing;
    }

    private ScrubReply Scrub(ScrubCommand command)
    {
        if (!Admits(command.Stamp, out var barrier))
        {
            return ScrubReply.NewScrubStaleEpoch(barrier.Epoch, Told(barrier));
        }

        return Serves(command.Store, out var shard)
            ? ScrubReply.NewScrubbed(shard.Scrub(command))
            : ScrubReply.ScrubNotServing;
    }

    private PurgeReply Purge(PurgeCommand command)
    {
        if (!Admits(command.Stamp, out var barrier) && !Mutants.upkeepCarriesNoEpoch())
        {
            return PurgeReply.NewPurgeStaleEpoch(barrier.Epoch, Told(barrier));
        }

        return
            Serves(command.Store, out var shard)
            && (shard.Incarnation == command.Incarnation || Mutants.purgeOfAnyIncarnation())
            ? PurgeReply.NewPurged(shard.Purge(command.Below))
            : PurgeReply.PurgeNotServing;
    }

    private ChangesReply Changes(ChangesCommand command)
    {
        if (command.MaxChanges < 1)
        {
            return ChangesReply.NewChangesRefused(
                new Refusal(RefusalCode.Failed, $"a page holds 1 change or more; asked for {command.MaxChanges}")
            );
        }

        if (!Admits(command.Stamp, out var barrier))
        {
            return ChangesReply.NewChangesStaleEpoch(barrier.Epoch, Told(barrier));
        }

        return Serves(command.Store, out var shard)
            ? ChangesReply.NewChanges(shard.Log.Page(command))
            : ChangesReply.ChangesNotServing;
    }

    private LogChangesReply LogChanges(LogChangesCommand command)
    {
        if (!Admits(command.Stamp, out var barrier))
        {
            return LogChangesReply.NewLogStaleEpoch(barrier.Epoch, Told(barrier));
        }

        if (!Disk.Shards.TryGetValue(command.Store, out var shard))
        {
            return LogChangesReply.LogNotServing;
        }

        if (Array.Find(command.Changes, change => !shard.Range.Contains(change.Key)) is { } foreign)
        {
            return LogChangesReply.NewLogRefused(WrongShard(foreign.Key, command.Store, shard));
        }

        shard.Log.Add(command, shard.Range, retention);
        return LogChangesReply.Logged;
    }

    private MakeReply BeginFill(MakeCommand command)
    {
        if (!Admits(command.Stamp, out var barrier))
        {
            return MakeReply.NewMakeStaleEpoch(barrier.Epoch);
        }

        if (Disk.Shards.TryGetValue(command.Store, out var shard))
        {
            return shard.IsFilling
                ? MakeReply.NewMade(shard.Incarnation)
                : MakeReply.NewMakeRefused(
                    new Refusal(RefusalCode.Failed, $"store {command.Store} serves: there is nothing to rebuild")
                );
        }

        shard = new MemoryShard(
            command.Store,
            command.Range,
            command.Migration,
            command.Attempt,
            entropy.NewGuid(),
            isFilling: true
        );
        Disk.Shards.Add(command.Store, shard);
        return MakeReply.NewMade(shard.Incarnation);
    }

    private bool Serves(ShardId store, [MaybeNullWhen(false)] out MemoryShard shard) =>
        Disk.Shards.TryGetValue(store, out shard) && (!shard.IsFilling || Mutants.fillingStoreServes());

    /// <summary>Compares a request with the barrier of the route it follows; a newer one first raises it.</summary>
    private bool Admits(RouteStamp stamp, out MemoryBarrier barrier, bool isRaise = false)
    {
        Disk.Barriers.TryGetValue(stamp.Shard, out barrier);
        if (stamp.Epoch < barrier.Epoch)
        {
            return false;
        }

        if (stamp.Epoch > barrier.Epoch && (isRaise || !Mutants.raisingLeftOut()))
        {
            barrier = barrier with { Epoch = stamp.Epoch };
            Disk.Barriers[stamp.Shard] = barrier;
        }

        return true;
    }

    private static MemoryDisk Opened(MemoryDisk? disk)
    {
        disk ??= new MemoryDisk();
        disk.Open();
        if (Mutants.barrierNotDurable())
        {
            disk.Barriers.Clear();
        }

        return disk;
    }

    private static FSharpOption<Route> Told(MemoryBarrier barrier) =>
        barrier.Told is { } route ? FSharpOption<Route>.Some(route) : FSharpOption<Route>.None;

    private static Refusal Rotten(Document document) => new(RefusalCode.Corrupt, RottenBody.Message(document.Entry));

    private static Refusal WrongShard(Key key, ShardId store, MemoryShard shard) =>
        new(
            RefusalCode.WrongShard,
            $"key \"{key}\" (hash {key.Hash:x16}) is not in store {store}, which holds {shard.Range}: look the key up in the newest routing table"
        );
}
