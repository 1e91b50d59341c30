using System.Globalization;
using System.Runtime.InteropServices;

namespace Miroir.Server.Commands;

/// <summary>How a process of Miroir starts, says that it is ready, and ends.</summary>
internal static class ProcessLife
{
    /// <summary>Longest time between being told to stop and having stopped.</summary>
    public static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(15);

    /// <summary>
    /// Starts, prints <c>listening on ADDRESS</c>, waits for SIGTERM, Ctrl-C, the end of standard input (where
    /// <paramref name="stopWithStdin"/>) or <paramref name="ended"/>, and stops.
    /// </summary>
    /// <returns>0: stopped as it was told to; 1: it ended by itself, or did not stop in time.</returns>
    public static async Task<int> RunAsync(
        Func<CancellationToken, Task<string>> start,
        Func<Task> stop,
        Func<Task>? ended,
        bool stopWithStdin
    )
    {
        using var asked = new CancellationTokenSource();
        void OnSignal(PosixSignalContext context)
        {
            // The second one is for those who can't wait.
            if (asked.IsCancellationRequested)
                return;
            context.Cancel = true;
            asked.Cancel();
        }
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        if (stopWithStdin)
            _ = WatchStdin(asked);
        var status = 0;
        try
        {
            var address = await start(asked.Token);
            Console.Out.WriteLine($"listening on {address}");
            await Console.Out.FlushAsync();
            var signal = Task.Delay(Timeout.Infinite, asked.Token);
            if (await Task.WhenAny(signal, ended?.Invoke() ?? signal) != signal)
            {
                Log("the lead was lost to another coordinator; this one ends");
                status = 1;
            }
        }
        catch (OperationCanceledException) when (asked.IsCancellationRequested)
        {
            // Told to stop while it was still starting.
        }
        finally
        {
            var stopping = stop();
            if (await Task.WhenAny(stopping, Task.Delay(StopTimeout)) != stopping)
            {
                Log($"did not stop within {StopTimeout.TotalSeconds:0} s; ends anyway");
                status = 1;
            }
            else
                await stopping;
        }
        return status;
    }

    public static void Log(string line) =>
        Console.Error.WriteLine(
            $"{DateTime.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)} {line}"
        );

    /// <summary>A parent that dies, however it does, closes the pipe: nothing is left running behind it.</summary>
    private static async Task WatchStdin(CancellationTokenSource asked)
    {
        await Task.Yield();
        var input = Console.OpenStandardInput();
        var buffer = new byte[256];
        try
        {
            while (await input.ReadAsync(buffer) > 0) { }
        }
        catch (IOException)
        {
            // As good as its end.
        }
        try
        {
            await asked.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // It has stopped already.
        }
    }
}
