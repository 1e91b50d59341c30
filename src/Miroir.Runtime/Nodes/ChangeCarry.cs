using Miroir.Core;

namespace Miroir.Runtime.Nodes;

/// <summary>
/// The tail of the change feed on its way to who will serve it: what the sources' logs retain goes into the target's.
/// A copy of documents brings no change into a log, so without this a cursor that is behind would miss what was written
/// before both sides took the puts.
/// </summary>
internal static class ChangeCarry
{
    private const int PageChanges = 4_096;

    /// <summary>
    /// When it returns, the target's log has every change that a source's had in the range when it began, durably, but
    /// for those below the highest floor of any, which is the target's in that range from then on.
    /// </summary>
    /// <exception cref="ReconcileEndedException">A source, or the target, does not do its part.</exception>
    public static async Task Run(ReconcileSources sources, ReconcileTarget target)
    {
        for (var source = 0; source < sources.Count; source++)
        {
            if (sources.IsItself(source))
            {
                continue;
            }

            var after = DocumentVersion.Zero;
            while (true)
            {
                var page = await sources.Changes(source, after, PageChanges);
                await target.Log(page.Changes, page.Floor);
                if (page.IsLast)
                {
                    break;
                }

                after = page.Changes[^1].Position;
                await Task.Yield();
            }
        }
    }
}
