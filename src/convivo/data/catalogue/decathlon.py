"""The ten tasks of the Medical Segmentation Decathlon: volumes with label maps.

Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9. Addresses and MD5 sums as MONAI publishes
them for its copy (monai.apps.DecathlonDataset, Apache-2.0).
"""

from convivo.data.catalogue.source import Source

FOLDER = "https://msd-for-monai.s3-us-west-2.amazonaws.com/"

# task: (what, about how many megabytes, MD5)
TABLE = {
    "Task01_BrainTumour": ("gliomas, MR", 7_090, "240a19d752f0d9e9101544901065d872"),
    "Task02_Heart": ("left atrium, MR", 434, "06ee59366e1e5124267b774dbd654057"),
    "Task03_Liver": ("liver and tumours, CT", 26_940, "a90ec6c4aa7f6a3d087205e23d4e6397"),
    "Task04_Hippocampus": ("hippocampus, MR", 28, "9d24dba78a72977dbd1d2e110310f31b"),
    "Task05_Prostate": ("prostate, MR", 229, "35138f08b1efaef89d7424d2bcc928db"),
    "Task06_Lung": ("lung tumours, CT", 8_530, "8afd997733c7fc0432f71255ba4e52dc"),
    "Task07_Pancreas": ("pancreas and tumours, CT", 11_450, "4f7080cfca169fa8066d17ce6eb061e4"),
    "Task08_HepaticVessel": ("liver vessels, CT", 8_740, "641d79e80ec66453921d997fbf12a29c"),
    "Task09_Spleen": ("spleen, CT", 1_500, "410d4a301da4e5b2f6f86ec3ddba524e"),
    "Task10_Colon": ("colon tumours, CT", 5_820, "bad7a188931dc2f6acf72b08eb6202d0"),
}

SOURCES = tuple(
    Source(
        name=name,
        title=f"Medical Segmentation Decathlon, {what}",
        licence="CC BY-SA 4.0",
        home="http://medicaldecathlon.com",
        folder=FOLDER,
        file=f"{name}.tar",
        kind="tar",
        md5=md5,
        bytes=megabytes * 10**6,
    )
    for name, (what, megabytes, md5) in TABLE.items()
)
