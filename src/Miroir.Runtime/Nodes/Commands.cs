using Miroir.Core;

namespace Miroir.Runtime.Nodes;

internal static class Commands
{
    /// <summary>The same scan, starting behind another key.</summary>
    public static ScanCommand Behind(this ScanCommand scan, Key? after) =>
        new(scan.Stamp, scan.Store, scan.Range, after, scan.MaxEntries, scan.MaxBytes, scan.WithBodies);

    /// <summary>The same reconcile, starting behind another key, from other sources.</summary>
    public static ReconcileCommand From(this ReconcileCommand command, Key? after, SourceReplica[] sources) =>
        new(
            command.Stamp,
            command.Store,
            command.Range,
            sources,
            command.Mode,
            after,
            command.DocumentsPerSecond,
            command.Migration,
            command.Attempt
        );

    /// <summary>Whether the same, asked again, may be answered otherwise.</summary>
    public static bool MayPass(this Refusal refusal) =>
        refusal.Code is RefusalCode.Overloaded or RefusalCode.Injected or RefusalCode.Failed;
}
