"""Open sets of PhysioNet: records of hearts, sleep and brains, each file with a published SHA-256.

Goldberger et al. 2000, doi:10.1161/01.CIR.101.23.e215. SHA256SUMS.txt of a project names its files,
RECORDS its records. A project's own LICENSE.txt is among its files and has the last word.
"""

from convivo.data.catalogue.source import Source

FOLDER = "https://physionet.org/files/"
LIST = "SHA256SUMS.txt"
ODC_BY, CC_BY = "ODC-By 1.0", "CC BY 4.0"

# name: (version, licence, what)
TABLE = {
    "mitdb": ("1.0.0", ODC_BY, "MIT-BIH arrhythmia, 48 ECGs with beats"),
    "nsrdb": ("1.0.0", ODC_BY, "MIT-BIH normal sinus rhythm, 18 ECGs with beats"),
    "afdb": ("1.0.0", ODC_BY, "MIT-BIH atrial fibrillation, 25 long ECGs with rhythms"),
    "svdb": ("1.0.0", ODC_BY, "MIT-BIH supraventricular arrhythmia, 78 ECGs with beats"),
    "ltafdb": ("1.0.0", ODC_BY, "long-term atrial fibrillation, 84 ECGs of a day"),
    "edb": ("1.0.0", ODC_BY, "European ST-T, 90 ECGs with beats and ST changes"),
    "incartdb": ("1.0.0", ODC_BY, "St Petersburg INCART, 75 ECGs of 12 leads with beats"),
    "qtdb": ("1.0.0", ODC_BY, "QT, 105 ECGs with waves"),
    "ptbdb": ("1.0.0", ODC_BY, "PTB diagnostic, 549 ECGs of 15 leads"),
    "ptb-xl": ("1.0.3", CC_BY, "PTB-XL, 21,799 ECGs of 12 leads with statements"),
    "ludb": ("1.0.1", ODC_BY, "Lobachevsky University, 200 ECGs of 12 leads with waves"),
    "apnea-ecg": ("1.0.0", ODC_BY, "apnea-ECG, 70 ECGs of a night, by the minute"),
    "challenge-2017": ("1.0.0", ODC_BY, "Challenge 2017, atrial fibrillation in short ECGs"),
    "bidmc": ("1.0.0", ODC_BY, "BIDMC, 53 plethysmograms with breaths"),
    "sleep-edfx": ("1.0.0", ODC_BY, "Sleep-EDF, 197 nights with sleep stages"),
    "chbmit": ("1.0.0", ODC_BY, "CHB-MIT, EEGs of children with seizures"),
    "eegmmidb": ("1.0.0", ODC_BY, "EEGs of imagined and done movements, 109 subjects"),
    "siena-scalp-eeg": ("1.0.0", CC_BY, "Siena, EEGs of 14 patients with seizures"),
}

SOURCES = tuple(
    Source(
        name=name,
        title=f"PhysioNet {version}, {what}",
        licence=licence,
        home=f"https://physionet.org/content/{name}/{version}/",
        folder=f"{FOLDER}{name}/{version}/",
        file=LIST,
        kind="listed",
    )
    for name, (version, licence, what) in TABLE.items()
)
