"""The diffusers pipelines that are run."""

# Pipelines that turn a prompt alone into a picture (diffusers' AutoPipelineForText2Image, less those that need another
# picture). A list and not that class's own table: importing the table imports every pipeline there is.
PIPELINES = (
    "StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline",
    "LatentConsistencyModelPipeline", "FluxPipeline", "Flux2Pipeline", "Flux2KleinPipeline",
    "QwenImagePipeline", "ZImagePipeline", "SanaPipeline", "PixArtAlphaPipeline", "PixArtSigmaPipeline",
    "HunyuanDiTPipeline", "LuminaPipeline", "Lumina2Pipeline", "AuraFlowPipeline", "ChromaPipeline",
    "CogView3PlusPipeline", "CogView4Pipeline", "KolorsPipeline", "OvisImagePipeline", "PRXPipeline",
)  # fmt: skip
