using System.ComponentModel;
using System.Diagnostics;

namespace Miroir.Simulation.Scenario;

/// <summary>What was measured: the working tree in which a report is written.</summary>
public static class WorkingTree
{
    /// <summary>The commit, with "+" where files were changed since; "unknown" outside of a working tree.</summary>
    public static string Commit()
    {
        try
        {
            var commit = Git("rev-parse", "--short", "HEAD");
            return commit == "" ? "unknown" : commit + (Git("status", "--porcelain", "-uno") == "" ? "" : "+");
        }
        catch (Win32Exception)
        {
            return "unknown";
        }
    }

    private static string Git(params string[] arguments)
    {
        var start = new ProcessStartInfo("git", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var git = Process.Start(start)!;
        var output = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        return git.ExitCode == 0 ? output.Trim() : "";
    }
}
