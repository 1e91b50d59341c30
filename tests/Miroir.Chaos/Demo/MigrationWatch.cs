using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;

namespace Miroir.Chaos.Demo;

/// <summary>What the coordinator said of one migration, asked again and again, with the times at which it was said.</summary>
internal sealed class MigrationWatch(HttpClient http, Uri coordinator, Stopwatch clock)
{
    private readonly Dictionary<int, (double FromMs, double ToMs)> _joint = [];
    private readonly List<(string Phase, double AtMs)> _phases = [];

    /// <summary>The newest answer.</summary>
    public JsonElement View { get; private set; }

    /// <summary>For each shard that was seen in Joint: from when, and until when at the least.</summary>
    public IReadOnlyDictionary<int, (double FromMs, double ToMs)> Joint => _joint;

    public IReadOnlyList<(string Phase, double AtMs)> Phases => _phases;

    public string Status => View.GetProperty("status").GetString() ?? "";

    public bool IsReadyForCutover => View.GetProperty("readyForCutover").GetBoolean();

    public IEnumerable<string> Stages =>
        View.GetProperty("shards").EnumerateArray().Select(s => s.GetProperty("stage").GetString() ?? "");

    public async Task<JsonElement> CommandAsync(string path, object? body)
    {
        using var response = body is null
            ? await http.PostAsync(new Uri(coordinator, path), null)
            : await http.PostAsJsonAsync(new Uri(coordinator, path), body);
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        return response.IsSuccessStatusCode
            ? answer
            : throw new InvalidOperationException($"POST {path}: {(int)response.StatusCode} {answer}");
    }

    public async Task<JsonElement> GetAsync(string path) =>
        await http.GetFromJsonAsync<JsonElement>(new Uri(coordinator, path));

    /// <summary>Asks until <paramref name="isEnough"/>, at most for the limit. A coordinator that is away is asked again.</summary>
    public async Task UntilAsync(long id, Func<bool> isEnough, TimeSpan limit)
    {
        var until = clock.Elapsed + limit;
        while (true)
        {
            try
            {
                View = await GetAsync($"/_miroir/reshards/{id}");
                Note();
                if (isEnough())
                    return;
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException)
            {
                // It is being restarted.
            }

            if (clock.Elapsed > until)
                throw new InvalidOperationException(
                    $"the migration did not get on within {limit.TotalSeconds} s: {View}"
                );
            await Task.Delay(15);
        }
    }

    private void Note()
    {
        var now = clock.Elapsed.TotalMilliseconds;
        var phase = View.GetProperty("phase").GetString() ?? "";
        // Shards cut over a few at a time, so the phase goes to and fro: when each was first seen tells the story.
        if (_phases.TrueForAll(p => p.Phase != phase))
            _phases.Add((phase, now));
        foreach (var shard in View.GetProperty("shards").EnumerateArray())
        {
            if (shard.GetProperty("stage").GetString() != "Joint")
                continue;
            var number = shard.GetProperty("shard").GetInt32();
            _joint[number] = (_joint.TryGetValue(number, out var seen) ? seen.FromMs : now, now);
        }
    }
}
