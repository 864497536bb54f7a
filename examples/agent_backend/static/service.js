// The service's API: JSON, and an answer as server-sent events.

const url = id => "conversations" + (id ? "/" + id : "");

async function request(id, options) {
  let response;
  try {
    response = await fetch(url(id), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service cannot be reached.", { cause: error });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const why = typeof body.detail === "string" ? body.detail : body.detail?.[0]?.msg;
  throw new Error(why ?? `The service answered with an error (${response.status}).`);
}

const sending = (method, body, signal) => ({
  method, signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});

export const list = async () => (await request()).json();
export const past = async id => (await request(id)).json();
export const rename = (id, title) => request(id, sending("PATCH", { title }));
export const remove = id => request(id, { method: "DELETE" });

/** Yields {kind, data} until the answer is complete. Aborting `signal` cancels the call. */
export async function* ask(id, question, signal) {
  const response = await request(id, sending("POST", question, signal));
  // EventSource cannot post, so the events are read here.
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const kind = block.match(/^event: (.*)$/m)?.[1];
      if (kind) yield { kind, data: JSON.parse(block.match(/^data: (.*)$/m)[1]) };
    }
  }
}
