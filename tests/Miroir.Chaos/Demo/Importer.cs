using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Miroir.Oracle;

namespace Miroir.Chaos.Demo;

/// <summary>Loads the data set as NDJSON, several requests at a time; each document is an operation of the history.</summary>
internal static class Importer
{
    private const int BatchSize = 1_000;
    private const int InFlight = 4;
    private const int MaxAttempts = 5;

    /// <returns>Seconds it took.</returns>
    public static async Task<double> RunAsync(
        HttpClient http,
        Uri router,
        string index,
        Dataset dataset,
        History history
    )
    {
        var clock = Stopwatch.StartNew();
        await Parallel.ForEachAsync(
            dataset.Documents.Select((d, i) => (d.Id, d.Document, Number: i)).Chunk(BatchSize),
            new ParallelOptions { MaxDegreeOfParallelism = InFlight },
            async (batch, cancel) =>
            {
                var body = new StringBuilder();
                List<HistoryEntry> entries = [];
                foreach (var (id, document, number) in batch)
                {
                    body.Append(Workload.With(document, $"import-{number}")).Append('\n');
                    entries.Add(history.Invoke(0, Workload.ReplaceOf(id, $"import-{number}")));
                }

                await SendAsync(
                    http,
                    new Uri(router, $"/indexes/{index}/documents?primaryKey={dataset.PrimaryKey}"),
                    Encoding.UTF8.GetBytes(body.ToString()),
                    cancel
                );
                foreach (var entry in entries)
                    history.Complete(entry, Reply.Ok());
            }
        );
        return clock.Elapsed.TotalSeconds;
    }

    /// <summary>Sends a batch until it is taken whole: the same documents again change nothing.</summary>
    private static async Task SendAsync(HttpClient http, Uri target, byte[] body, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            using var content = new ByteArrayContent(body);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/x-ndjson");
            using var response = await http.PostAsync(target, content, cancel);
            var answer = await response.Content.ReadAsStringAsync(cancel);
            var isTaken =
                response.StatusCode == HttpStatusCode.Accepted && !response.Headers.Contains("x-miroir-outcome");
            if (isTaken && !answer.Contains("\"failed\"", StringComparison.Ordinal))
                return;
            if (attempt == MaxAttempts)
                throw new InvalidOperationException($"the import was not taken: {(int)response.StatusCode} {answer}");
        }
    }
}
