using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>Passes operations on to the router that is their shard's writer. It never passes on what was passed to it.</summary>
internal sealed class Forwarder(RouterContext context, IRouterDirectory routers)
{
    /// <summary>How a router says that it is not the writer, by its own table: certainly not written, resolve again.</summary>
    public static WriteOutcome NotTheWriter { get; } =
        WriteOutcome.NewRejected(
            new Refusal(RefusalCode.WrongShard, "this router is not the writer of the document's shard: resolve again")
        );

    public static bool IsNotTheWriter(WriteOutcome outcome) =>
        outcome is WriteOutcome.Rejected { Item.Code: RefusalCode.WrongShard };

    /// <summary>Outcomes in the order of the commands; all Unknown where no answer came.</summary>
    public async ValueTask<WriteOutcome[]> WriteAsync(
        RouterInfo writer,
        IReadOnlyList<WriteCommand> commands,
        long minRevision,
        CancellationToken cancel
    )
    {
        context.Counters.Forwarded(commands.Count);
        try
        {
            var outcomes = await routers.Get(writer.Name, writer.Address).Write(commands, minRevision, cancel);
            if (outcomes.Length == commands.Count)
            {
                return outcomes;
            }
            return Unknown($"answered {outcomes.Length} outcomes to {commands.Count} writes");
        }
        catch (NotSentException)
        {
            // Its router is gone, and another will be named: the table tells.
            return [.. Enumerable.Repeat(NotTheWriter, commands.Count)];
        }
        catch (Exception e)
        {
            return Unknown($"did not answer: {e.Message}");
        }

        WriteOutcome[] Unknown(string why)
        {
            var outcome = WriteOutcome.NewUnknown($"router {writer.Name}, which writes for the shard, {why}");
            return [.. Enumerable.Repeat(outcome, commands.Count)];
        }
    }

    /// <summary>Asks the key's writer of now, once; unknown where it does not answer, or is not that writer.</summary>
    public async ValueTask<WriteOutcome> InspectAsync(
        RouterInfo writer,
        InspectCommand inspected,
        long minRevision,
        CancellationToken cancel
    )
    {
        try
        {
            var outcome = await routers.Get(writer.Name, writer.Address).Inspect(inspected, minRevision, cancel);
            return outcome.IsRejected ? Unknown($"did not look: {outcome}") : outcome;
        }
        catch (Exception e)
        {
            return Unknown($"did not answer: {e.Message}");
        }

        WriteOutcome Unknown(string why) =>
            WriteOutcome.NewUnknown(
                $"the writer changed while {inspected.Issued} was open, and router {writer.Name}, the new one, {why}"
            );
    }

    public async ValueTask<ReadOutcome> ReadAsync(
        RouterInfo writer,
        string index,
        Key key,
        long minRevision,
        CancellationToken cancel
    )
    {
        context.Counters.Forwarded(1);
        try
        {
            return await routers.Get(writer.Name, writer.Address).ReadAtWriter(index, key, minRevision, cancel);
        }
        catch (Exception e)
        {
            return ReadOutcome.NewUnavailable(
                $"router {writer.Name}, which writes for the shard, did not answer: {e.Message}"
            );
        }
    }
}
