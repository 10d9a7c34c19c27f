package vllmsim

import "strings"

// everyRelease are flags that the releases from 0.6 to 0.33 have in common, as far as the stand-in cares. What came or went in between is
// for the caller to know.
const everyRelease = `
--model --tokenizer --tokenizer-mode --trust-remote-code --download-dir --load-format --config-format --dtype --kv-cache-dtype
--max-model-len --pipeline-parallel-size --tensor-parallel-size --data-parallel-size --max-parallel-loading-workers --block-size
--enable-prefix-caching --no-enable-prefix-caching --seed --cpu-offload-gb --gpu-memory-utilization --num-gpu-blocks-override
--max-num-batched-tokens --max-num-seqs --max-logprobs --disable-log-stats --quantization --enforce-eager --no-enforce-eager
--disable-custom-all-reduce --limit-mm-per-prompt --mm-processor-kwargs --enable-lora --max-loras --max-lora-rank --lora-modules
--served-model-name --revision --code-revision --tokenizer-revision --host --port --uvicorn-log-level --allow-credentials
--allowed-origins --allowed-methods --allowed-headers --api-key --chat-template --chat-template-content-format --response-role
--ssl-keyfile --ssl-certfile --ssl-ca-certs --root-path --middleware --return-tokens-as-token-ids --enable-auto-tool-choice
--tool-call-parser --tool-parser-plugin --max-log-len --distributed-executor-backend --enable-chunked-prefill
--no-enable-chunked-prefill --scheduling-policy --override-generation-config --generation-config --hf-overrides --hf-token
--compilation-config --speculative-config --logits-processors --kv-transfer-config --worker-cls --worker-extension-cls
--enable-sleep-mode --override-pooler-config --pooler-config --otlp-traces-endpoint --disable-uvicorn-access-log --enable-log-outputs
--disable-fastapi-docs --enable-prompt-tokens-details --enable-server-load-tracking --api-server-count --headless --config
--disable-hybrid-kv-cache-manager --reasoning-parser --default-chat-template-kwargs --trust-request-chat-template --ignore-patterns
--skip-tokenizer-init --model-loader-extra-config --allowed-local-media-path --use-tqdm-on-load --show-hidden-metrics-for-version`

// Common tells whether a flag belongs to the stock that all releases share.
func Common(flag string) bool {
	for _, f := range strings.Fields(everyRelease) {
		if f == flag {
			return true
		}
	}
	return false
}
