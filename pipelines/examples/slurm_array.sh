#!/bin/bash
#SBATCH --job-name=recast
#SBATCH --array=0-7                # eight nodes, as they become free: none waits for another
#SBATCH --gpus-per-node=4
#SBATCH --time=04:00:00
#
# One rewriting job on every node of an array, by the same command on each. The store lies on a file system that all nodes
# share (NFS 4, Lustre mounted with flock, GPFS, CephFS). A node that ends early loses the batches that it was at; the
# others take them over after two minutes. Submit it again until `recast jobs` says that nothing is unfinished.
#
#     sbatch slurm_array.sh
#     recast jobs list --store /shared/recast
#     recast jobs cancel rewrite-7f96 --store /shared/recast

export RECAST_HOME=/shared/recast HF_HUB_OFFLINE=1

# four processes, one a GPU; tensor_parallel=2 would make it two processes of two GPUs
exec recast rewrite craft --agent agents/craft --model /shared/models/qwen --as craft-rewrites \
    --engine vllm --workers 4
