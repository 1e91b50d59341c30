using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>
/// The writes of a batch: those of one document one after another in input order, others side by side, and those
/// of one other router together.
/// </summary>
internal sealed class BatchWriter(RouterContext context, DocumentWriter writer, Forwarder forwarder)
{
    private const int MaxForwardedAtOnce = 256;

    public async Task<WriteOutcome[]> WriteAsync(IReadOnlyList<WriteCommand> commands, CancellationToken cancel)
    {
        if (commands.Count == 1)
        {
            return [await writer.WriteAsync(commands[0], cancel)];
        }
        var outcomes = new WriteOutcome[commands.Count];
        var table = context.Table;
        var local = new List<List<int>>();
        var remote = new Dictionary<string, List<List<int>>>(StringComparer.Ordinal);
        var order = new List<string>();
        foreach (var chain in Chains(commands))
        {
            var first = commands[chain[0]];
            var route = table.Resolve(first.Index, first.Key.Hash);
            var name = route.IsValueSome ? route.Value.Writer.Router : "";
            if (name == "" || name == context.Options.Name || table.TryRouter(name).IsValueNone)
            {
                local.Add(chain);
                continue;
            }
            if (!remote.TryGetValue(name, out var chains))
            {
                remote.Add(name, chains = []);
                order.Add(name);
            }
            chains.Add(chain);
        }
        var tasks = new List<Task> { EachAsync(local, chain => ChainAsync(commands, chain, 0, outcomes, cancel)) };
        foreach (var name in order)
        {
            foreach (var group in Groups(remote[name]))
            {
                tasks.Add(ForwardAsync(table.TryRouter(name).Value, table.Revision, commands, group, outcomes, cancel));
            }
        }
        await Task.WhenAll(tasks);
        return outcomes;
    }

    /// <summary>
    /// As the writer of all of them: a document whose writer this router is not is left alone, together with every
    /// later write of it, so that whoever sent them can send them in order again.
    /// </summary>
    public async Task<WriteOutcome[]> WriteAsWriterAsync(IReadOnlyList<WriteCommand> commands, CancellationToken cancel)
    {
        var outcomes = new WriteOutcome[commands.Count];
        await EachAsync(
            Chains(commands),
            async chain =>
            {
                var isOurs = true;
                foreach (var i in chain)
                {
                    outcomes[i] = isOurs
                        ? await writer.WriteAsWriterAsync(commands[i], cancel)
                        : Forwarder.NotTheWriter;
                    isOurs &= !Forwarder.IsNotTheWriter(outcomes[i]);
                }
            }
        );
        return outcomes;
    }

    private async Task ChainAsync(
        IReadOnlyList<WriteCommand> commands,
        List<int> chain,
        int from,
        WriteOutcome[] outcomes,
        CancellationToken cancel
    )
    {
        for (var i = from; i < chain.Count; i++)
        {
            outcomes[chain[i]] = await writer.WriteAsync(commands[chain[i]], cancel);
        }
    }

    private async Task ForwardAsync(
        RouterInfo router,
        long revision,
        IReadOnlyList<WriteCommand> commands,
        List<List<int>> chains,
        WriteOutcome[] outcomes,
        CancellationToken cancel
    )
    {
        var sent = chains.SelectMany(static chain => chain).ToArray();
        var deadline = context.Deadlines.Start(cancel);
        try
        {
            var answers = await forwarder.WriteAsync(
                router,
                [.. sent.Select(i => commands[i])],
                revision,
                deadline.Token
            );
            for (var i = 0; i < sent.Length; i++)
            {
                outcomes[sent[i]] = answers[i];
                if (!Forwarder.IsNotTheWriter(answers[i]))
                {
                    context.Counters.Outcome(answers[i]);
                }
            }
        }
        finally
        {
            deadline.Release();
        }
        var again = chains.Where(chain => chain.Exists(i => Forwarder.IsNotTheWriter(outcomes[i]))).ToList();
        await EachAsync(
            again,
            chain =>
                ChainAsync(
                    commands,
                    chain,
                    chain.FindIndex(i => Forwarder.IsNotTheWriter(outcomes[i])),
                    outcomes,
                    cancel
                )
        );
    }

    private async Task EachAsync(List<List<int>> chains, Func<List<int>, Task> run)
    {
        var next = -1;
        var workers = new Task[Math.Min(chains.Count, context.Options.MaxBatchInFlight)];
        for (var i = 0; i < workers.Length; i++)
        {
            workers[i] = WorkAsync();
        }
        await Task.WhenAll(workers);

        async Task WorkAsync()
        {
            for (var i = Interlocked.Increment(ref next); i < chains.Count; i = Interlocked.Increment(ref next))
            {
                await run(chains[i]);
            }
        }
    }

    private static List<List<int>> Chains(IReadOnlyList<WriteCommand> commands)
    {
        var chains = new List<List<int>>(commands.Count);
        var known = new Dictionary<(string, Key), List<int>>(commands.Count);
        for (var i = 0; i < commands.Count; i++)
        {
            if (known.TryGetValue((commands[i].Index, commands[i].Key), out var chain))
            {
                chain.Add(i);
                continue;
            }
            chain = [i];
            known.Add((commands[i].Index, commands[i].Key), chain);
            chains.Add(chain);
        }
        return chains;
    }

    private static IEnumerable<List<List<int>>> Groups(List<List<int>> chains)
    {
        var group = new List<List<int>>();
        var count = 0;
        foreach (var chain in chains)
        {
            if (count > 0 && count + chain.Count > MaxForwardedAtOnce)
            {
                yield return group;
                group = [];
                count = 0;
            }
            group.Add(chain);
            count += chain.Count;
        }
        yield return group;
    }
}
