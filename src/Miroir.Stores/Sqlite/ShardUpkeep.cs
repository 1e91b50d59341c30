using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>Healing, scrubbing, purging, and logging changes by themselves: reads on readers, and short transactions between the puts.</summary>
/// <param name="files">The node's.</param>
/// <param name="pumpOf">Who writes to a file.</param>
/// <param name="reads">Runs something where readers run.</param>
internal sealed class ShardUpkeep(ShardFiles files, Func<ShardFile, ShardPump> pumpOf, ReaderThreads reads)
{
    /// <summary>Entries looked at, tombstones deleted, leaves put right and changes logged in one transaction at most.</summary>
    private const int Batch = 2000;

    /// <summary>Replies in the order of the commands; each store's in one transaction.</summary>
    public async Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, RouteBarrier[] barriers)
    {
        var replies = new HealReply[commands.Count];
        Array.Fill(replies, HealReply.HealNotServing);
        var parts = new List<Task>();
        foreach (var group in Enumerable.Range(0, replies.Length).GroupBy(i => commands[i].Store))
            parts.Add(HealIn(group.Key, [.. group]));
        await Task.WhenAll(parts).ConfigureAwait(false);
        return replies;

        async Task HealIn(ShardId store, int[] positions)
        {
            var healed = !files.TryServing(store, out var file)
                ? Array.ConvertAll(positions, i => StaleOr(i, () => HealReply.HealNotServing))
                : await Write(
                        file,
                        Array.ConvertAll(positions, i => barriers[i]),
                        writer =>
                            Array.ConvertAll(
                                positions,
                                i => StaleOr(i, () => writer.Heal(commands[i].Document, commands[i].Wrong))
                            ),
                        Array.ConvertAll(positions, _ => HealReply.HealNotServing),
                        refusal => Array.ConvertAll(positions, _ => HealReply.NewHealRefused(refusal))
                    )
                    .ConfigureAwait(false);
            for (var i = 0; i < positions.Length; i++)
                replies[positions[i]] = healed[i];
        }

        HealReply StaleOr(int i, Func<HealReply> other) =>
            IsStale(commands[i].Stamp, barriers[i])
                ? HealReply.NewHealStaleEpoch(barriers[i].Epoch, barriers[i].ToldOption)
                : other();
    }

    public async Task<ScrubReply> Scrub(ScrubCommand command, RouteBarrier barrier, CancellationToken cancel)
    {
        if (command.Stamp.Epoch < barrier.Epoch)
            return ScrubReply.NewScrubStaleEpoch(barrier.Epoch, barrier.ToldOption);
        if (!files.TryServing(command.Store, out var file))
            return ScrubReply.ScrubNotServing;
        var read = await Read(file, reader => reader.Scrub(command, file.Digests.Leaves), cancel).ConfigureAwait(false);
        if (read.Found is not var (part, suspects))
            return read.Refusal is { } why ? ScrubReply.NewScrubRefused(why) : ScrubReply.ScrubNotServing;
        var drifted = 0;
        foreach (var leaves in suspects.Chunk(Batch))
        {
            var answer = await Write<(int Drifted, ScrubReply? Failure)>(
                    file,
                    [],
                    writer => (leaves.Count(writer.PutRight), null),
                    (0, ScrubReply.ScrubNotServing),
                    why => (0, ScrubReply.NewScrubRefused(why))
                )
                .ConfigureAwait(false);
            if (answer.Failure is { } failure)
                return failure;
            drifted += answer.Drifted;
        }

        return ScrubReply.NewScrubbed(new ScrubPart(part.NextLeaf, part.Entries, part.Bytes, part.Rotten, drifted));
    }

    /// <summary>The floor first, durably; then the tombstones, a batch at a time. What a crash left goes the next time.</summary>
    public async Task<PurgeReply> Purge(PurgeCommand command, RouteBarrier barrier, CancellationToken cancel)
    {
        if (IsStale(command.Stamp, barrier))
            return Stale();
        if (!files.TryServing(command.Store, out var file))
            return PurgeReply.PurgeNotServing;
        if (file.Registration.Incarnation != command.Incarnation && !Mutants.purgeOfAnyIncarnation())
            return PurgeReply.PurgeNotServing;
        var purged = 0L;
        var floor = await InTransaction(writer =>
            {
                writer.RaiseFloor(command.Below);
                return 0;
            })
            .ConfigureAwait(false);
        if (!floor.IsPurged)
            return floor;
        for (Key? after = null; ; )
        {
            var page = await Read(file, reader => reader.TombstonesBelow(command.Below, after, Batch), cancel)
                .ConfigureAwait(false);
            if (page.Found is not var (keys, next))
                return page.Refusal is { } why ? PurgeReply.NewPurgeRefused(why) : PurgeReply.PurgeNotServing;
            if (keys.Count > 0)
            {
                var reply = await InTransaction(writer => keys.Count(key => writer.Purge(key, command.Below)))
                    .ConfigureAwait(false);
                if (reply is not PurgeReply.Purged { Tombstones: var gone })
                    return reply;
                purged += gone;
            }

            if (next is null)
                return PurgeReply.NewPurged(purged);
            after = next;
        }

        PurgeReply Stale() => PurgeReply.NewPurgeStaleEpoch(barrier.Epoch, barrier.ToldOption);

        Task<PurgeReply> InTransaction(Func<ShardWriter, long> work) =>
            Write(
                file,
                [barrier],
                writer => IsStale(command.Stamp, barrier) ? Stale() : PurgeReply.NewPurged(work(writer)),
                PurgeReply.PurgeNotServing,
                PurgeReply.NewPurgeRefused
            );
    }

    /// <summary>The floor and the first changes in one transaction, then the others; a repeated call puts right what is cut off.</summary>
    public async Task<LogChangesReply> LogChanges(
        LogChangesCommand command,
        RouteBarrier barrier,
        CancellationToken cancel
    )
    {
        LogChangesReply StaleOr(Func<LogChangesReply> other) =>
            command.Stamp.Epoch < barrier.Epoch
                ? LogChangesReply.NewLogStaleEpoch(barrier.Epoch, barrier.ToldOption)
                : other();

        var isThere = files.TryGet(command.Store, out var file) && file.Health != StoreHealth.Quarantined;
        if (!isThere)
            return StaleOr(() => LogChangesReply.LogNotServing);
        var range = file!.Registration.Range;
        if (Array.Find(command.Changes, change => !range.Contains(change.Key)) is { } foreign)
            return StaleOr(() => LogChangesReply.NewLogRefused(Refusals.WrongShard(foreign.Key, command.Store, range)));
        for (var at = 0; ; at += Batch)
        {
            cancel.ThrowIfCancellationRequested();
            var (from, to) = (at, Math.Min(at + Batch, command.Changes.Length));
            var reply = await Write(
                    file,
                    [barrier],
                    writer =>
                        StaleOr(() =>
                        {
                            writer.Log(command.Changes.AsSpan(from..to), command.FloorIn(range), command.Floor);
                            return LogChangesReply.Logged;
                        }),
                    LogChangesReply.LogNotServing,
                    LogChangesReply.NewLogRefused
                )
                .ConfigureAwait(false);
            if (to == command.Changes.Length || !reply.IsLogged)
                return reply;
        }
    }

    private static bool IsStale(RouteStamp stamp, RouteBarrier barrier) =>
        stamp.Epoch < barrier.Epoch && !Mutants.upkeepCarriesNoEpoch();

    /// <summary>What a reader of the file finds; without it a refusal, or without either: the store is gone.</summary>
    private Task<(T? Found, Refusal? Refusal)> Read<T>(
        ShardFile file,
        Func<ShardReader, T> read,
        CancellationToken cancel
    )
        where T : struct =>
        reads.Run<(T? Found, Refusal? Refusal)>(
            () => ShardReads.On<(T?, Refusal?)>(files, file, reader => (read(reader), null), why => (null, why)),
            cancel
        );

    private Task<T> Write<T>(
        ShardFile file,
        IReadOnlyCollection<RouteBarrier> barriers,
        Func<ShardWriter, T> work,
        T notServing,
        Func<Refusal, T> refused
    )
    {
        var task = new WriterTask<T>(barriers, work, notServing, refused);
        pumpOf(file).Post(task);
        return task.Answer;
    }
}
