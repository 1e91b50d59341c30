using System.Diagnostics;
using System.Reflection;

namespace Miroir.Server.Commands;

/// <summary>
/// A process of the same program. It ends when its standard input does, so that it never outlives this one.
/// </summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromSeconds(60);
    private readonly Process process;
    private readonly string name;

    private ChildProcess(Process process, string name)
    {
        this.process = process;
        this.name = name;
    }

    public string Name => name;

    public int Id => process.Id;

    /// <summary>Where it said that it listens.</summary>
    public string Address { get; private set; } = "";

    public Task Ended => process.WaitForExitAsync();

    /// <summary>Returns once the child listens. Its log goes to this process's standard error.</summary>
    /// <exception cref="InvalidOperationException">It ended, or was not ready in time.</exception>
    public static async Task<ChildProcess> StartAsync(
        string name,
        IEnumerable<string> arguments,
        CancellationToken cancel
    )
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        // Run by `dotnet miroir.dll`, the program is the runtime's argument.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
        foreach (var argument in arguments.Append("--stop-with-stdin"))
            start.ArgumentList.Add(argument);
        var child = new ChildProcess(Process.Start(start)!, name);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(ReadyTimeout);
        try
        {
            const string ready = "listening on ";
            while (await child.process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
                if (line.StartsWith(ready, StringComparison.Ordinal))
                {
                    child.Address = line[ready.Length..];
                    return child;
                }
            throw new InvalidOperationException($"{name} ended before it listened; its log above says why");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            await child.DisposeAsync();
            throw new InvalidOperationException($"{name} was not ready within {ReadyTimeout.TotalSeconds:0} s");
        }
        catch
        {
            await child.DisposeAsync();
            throw;
        }
    }

    /// <summary>Asks it to stop; kills it where it does not in time.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            process.StandardInput.Close();
            using var limit = new CancellationTokenSource(ProcessLife.StopTimeout + TimeSpan.FromSeconds(5));
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
        }
        catch (IOException)
        {
            // Its input is closed since it has ended.
        }
        process.Dispose();
    }
}
