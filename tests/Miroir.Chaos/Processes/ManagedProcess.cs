using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Miroir.Chaos.Processes;

/// <summary>A process of the cluster: started, watched, killed by its id, its output kept in a file.</summary>
internal sealed partial class ManagedProcess : IDisposable
{
    private const int SigTerm = 15;
    private const int SigKill = 9;

    private readonly string _file;
    private readonly IReadOnlyList<string> _arguments;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly string _logFile;
    private readonly object _sync = new();
    private Process? _process;
    private StreamWriter? _log;
    private long _peakBytes;
    private TaskCompletionSource<string>? _answer;

    public ManagedProcess(
        string name,
        string file,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string> environment,
        string logFile
    )
    {
        Name = name;
        _file = file;
        _arguments = arguments;
        _environment = environment;
        _logFile = logFile;
    }

    public string Name { get; }

    public string LogFile => _logFile;

    /// <summary>The address of its "listening on" line; "" before.</summary>
    public string Address { get; private set; } = "";

    public int Id => _process?.Id ?? 0;

    /// <summary>True also where it was never started.</summary>
    public bool HasEnded => _process?.HasExited ?? true;

    /// <summary>Highest resident memory over all its starts, in bytes.</summary>
    public long PeakBytes
    {
        get
        {
            Measure();
            return _peakBytes;
        }
    }

    /// <summary>Starts it, and waits until it says where it listens.</summary>
    /// <exception cref="InvalidOperationException">It ended, or said nothing, within the limit.</exception>
    public async Task StartAsync(TimeSpan limit)
    {
        // What is left of one that ended by itself.
        Dispose();
        var ready = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        var start = new ProcessStartInfo(_file)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
        };
        foreach (var argument in _arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in _environment)
            start.Environment[name] = value;

        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        lock (_sync)
            _log = new StreamWriter(_logFile, append: true) { AutoFlush = true };
        process.OutputDataReceived += (_, e) =>
        {
            Write(e.Data);
            const string mark = "listening on ";
            if (e.Data?.IndexOf(mark, StringComparison.Ordinal) is { } at and >= 0)
                ready.TrySetResult(e.Data[(at + mark.Length)..].Trim());
            if (e.Data?.StartsWith(NodeControl.Mark, StringComparison.Ordinal) == true)
                _answer?.TrySetResult(e.Data[NodeControl.Mark.Length..]);
        };
        process.ErrorDataReceived += (_, e) => Write(e.Data);
        process.Exited += (_, _) =>
            ready.TrySetException(new InvalidOperationException($"{Name} ended before it was ready: see {_logFile}"));
        process.Start();
        _process = process;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            Address = await ready.Task.WaitAsync(limit);
        }
        catch (TimeoutException)
        {
            throw new InvalidOperationException($"{Name} was not ready within {limit.TotalSeconds} s: see {_logFile}");
        }
    }

    private void Write(string? line)
    {
        if (line is null)
            return;
        lock (_sync)
            _log?.WriteLine(line);
    }

    /// <summary>Tells a node of this program something, and waits for its answer; one at a time.</summary>
    /// <exception cref="InvalidOperationException">It gave none within the limit, or is not running.</exception>
    public async Task<string> TellAsync(string line, TimeSpan limit)
    {
        if (HasEnded)
            throw new InvalidOperationException($"{Name} is not running: it can't be told to {line}");
        var answer = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        _answer = answer;
        await _process!.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
        try
        {
            return await answer.Task.WaitAsync(limit);
        }
        catch (TimeoutException)
        {
            throw new InvalidOperationException($"{Name} did not answer '{line}' within {limit.TotalSeconds} s");
        }
    }

    /// <summary>Takes the kernel's own high-water mark of its memory.</summary>
    public void Measure()
    {
        if (_process is not { HasExited: false } process)
            return;
        try
        {
            var line = File.ReadLines($"/proc/{process.Id}/status")
                .FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
            if (line is null)
                return;
            var kilobytes = long.Parse(
                line["VmHWM:".Length..].Replace("kB", "", StringComparison.Ordinal).Trim(),
                CultureInfo.InvariantCulture
            );
            _peakBytes = Math.Max(_peakBytes, kilobytes * 1024);
        }
        catch (IOException)
        {
            // It ended in between, or this system has no /proc.
        }
    }

    /// <summary>SIGKILL: no goodbye, nothing flushed.</summary>
    public async Task KillAsync()
    {
        Measure();
        await EndAsync(SigKill, TimeSpan.FromSeconds(10));
    }

    /// <summary>SIGTERM, and SIGKILL where that does not help in time.</summary>
    public async Task StopAsync()
    {
        Measure();
        await EndAsync(SigTerm, TimeSpan.FromSeconds(5));
    }

    private async Task EndAsync(int signal, TimeSpan limit)
    {
        if (_process is not { } process)
            return;
        if (!process.HasExited)
        {
            _ = Signal(process.Id, signal);
            using var patience = new CancellationTokenSource(limit);
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                await process.WaitForExitAsync();
            }
        }

        process.Dispose();
        _process = null;
        lock (_sync)
        {
            _log?.Dispose();
            _log = null;
        }
    }

    public void Dispose()
    {
        if (_process is { HasExited: false } process)
            process.Kill(entireProcessTree: true);
        _process?.Dispose();
        _process = null;
        lock (_sync)
        {
            _log?.Dispose();
            _log = null;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);
}
