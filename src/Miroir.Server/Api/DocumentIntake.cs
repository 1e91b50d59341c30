using System.IO.Pipelines;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>Takes the documents of one body in, one after the other: scans each, and hands it to the writer.</summary>
internal sealed class DocumentIntake
{
    private readonly IndexTarget target;
    private readonly DocumentWriter writer;
    private readonly WriteHeaders headers;
    private readonly ApiOptions options;
    private readonly Func<string> place;
    private DocumentScanner? scanner;
    private long line;

    public DocumentIntake(
        IndexTarget target,
        DocumentWriter writer,
        WriteHeaders headers,
        ApiOptions options,
        BodyFormat format
    )
    {
        this.target = target;
        this.writer = writer;
        this.headers = headers;
        this.options = options;
        place = format == BodyFormat.Ndjson ? () => $"line {line}" : () => $"document {writer.Tally.Received}";
    }

    public async Task TakeLinesAsync(PipeReader body, CancellationToken cancel)
    {
        var tally = writer.Tally;
        try
        {
            await NdjsonLines.ReadAsync(
                body,
                options.MaxDocumentBytes,
                (text, number) =>
                {
                    line = number;
                    return TakeAsync(text, cancel);
                },
                cancel
            );
        }
        catch (RefusedException refused) when (!headers.ForOneDocument)
        {
            // What came before it stands.
            tally.Stopped = refused.Error;
        }
        if (tally is { Received: 0, Stopped: null })
            throw new RefusedException("missing_payload", "the body is empty: expected a JSON object on each line");
    }

    public ValueTask TakeAsync(ReadOnlyMemory<byte> json, CancellationToken cancel)
    {
        var tally = writer.Tally;
        if (tally.Received == 1 && headers.ForOneDocument)
            throw WriteRoutes.OnlyForOne("a batch");
        if (scanner is null)
        {
            target.DecideFrom(json.Span);
            scanner = new DocumentScanner(target.PrimaryKey!, options.MaxDepth);
        }
        tally.Received++;
        ScannedDocument scanned;
        try
        {
            scanned = scanner.Scan(json, place);
        }
        catch (RefusedException)
        {
            tally.Received--;
            throw;
        }
        if (scanned.Fault is { } fault)
        {
            tally.Fail(fault);
            return ValueTask.CompletedTask;
        }
        return writer.AddAsync(scanned.Key!, scanned.Body, cancel);
    }
}
