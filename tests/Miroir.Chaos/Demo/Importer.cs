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

                using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body.ToString()));
                content.Headers.ContentType = new MediaTypeHeaderValue("application/x-ndjson");
                using var response = await http.PostAsync(
                    new Uri(router, $"/indexes/{index}/documents?primaryKey={dataset.PrimaryKey}"),
                    content,
                    cancel
                );
                var answer = await response.Content.ReadAsStringAsync(cancel);
                if (response.StatusCode != HttpStatusCode.Accepted || response.Headers.Contains("x-miroir-outcome"))
                    throw new InvalidOperationException(
                        $"the import was not taken: {(int)response.StatusCode} {answer}"
                    );
                foreach (var entry in entries)
                    history.Complete(entry, Reply.Ok());
            }
        );
        return clock.Elapsed.TotalSeconds;
    }
}
