using System.Diagnostics;
using Miroir.Core.Cutover;
using Miroir.Ports;
using Action = Miroir.Core.Cutover.Action;

namespace Miroir.Chaos.Processes;

/// <summary>
/// A coordinator that kills itself (SIGKILL) at each failpoint that it has not died at yet: before and after each kind of
/// effect, or each single one. A file keeps where it died.
/// </summary>
internal static class DeathAtEffects
{
    /// <summary>The environment variable that names the file; absent: nobody dies.</summary>
    public const string FileVariable = "MIROIR_FAILPOINTS";

    /// <summary>The environment variable that is "1" where each effect counts by itself, instead of each kind.</summary>
    public const string EachVariable = "MIROIR_FAILPOINTS_EACH";

    public static void ArmWhereAsked()
    {
        if (Environment.GetEnvironmentVariable(FileVariable) is not { Length: > 0 } file)
            return;
#if MUTANTS
        var isEach = Environment.GetEnvironmentVariable(EachVariable) == "1";
        var passed = File.Exists(file) ? File.ReadLines(file).ToHashSet(StringComparer.Ordinal) : [];
        Failpoints.onReached(
            (moment, effect) =>
            {
                var name = $"{moment} {NameOf(effect.Action)}{(isEach ? $" {effect.Sequence}" : "")}";
                lock (passed)
                {
                    if (!passed.Add(name))
                        return;
                    File.AppendAllLines(file, [name]);
                    Process.GetCurrentProcess().Kill();
                    // The signal is on its way; nothing more is to happen here.
                    Thread.Sleep(Timeout.Infinite);
                }
            }
        );
#else
        throw new InvalidOperationException($"{FileVariable}={file}: failpoints are in the test build only");
#endif
    }

    private static string NameOf(Action action) =>
        action switch
        {
            Action.Publish publish =>
                $"Publish {string.Join('+', publish.changes.Select(c => c.Route?.Value.Stage.ToString() ?? "removal").Distinct())}",
            Action.Reconcile reconcile => $"Reconcile {reconcile.command.Mode}",
            _ => action.GetType().Name,
        };
}
