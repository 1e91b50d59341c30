using Miroir.Core;

namespace Miroir.Runtime.Nodes;

/// <summary>A reconcile can't go on, and this is what it answers.</summary>
internal sealed class ReconcileEndedException(ReconcileReply reply) : Exception($"{reply}")
{
    public ReconcileReply Reply { get; } = reply;

    public static ReconcileEndedException Stale(long epoch) => new(ReconcileReply.NewReconcileStaleEpoch(epoch));

    public static ReconcileEndedException NotServing() => new(ReconcileReply.ReconcileNotServing);

    public static ReconcileEndedException SourceFailed(string node, string message) =>
        new(ReconcileReply.NewSourceFailed(node, message));

    public static ReconcileEndedException Refused(Refusal refusal) => new(ReconcileReply.NewReconcileRefused(refusal));

    public static ReconcileEndedException Refused(RefusalCode code, string message) =>
        Refused(new Refusal(code, message));
}
