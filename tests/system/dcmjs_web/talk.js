// dicomweb-client and dcmjs as viewers load them: in a page, from the product's own origin.
async function talk(order) {
  const client = new DICOMwebClient.api.DICOMwebClient({
    url: order.url,
    singlepart: "",
    headers: { Authorization: `Bearer ${order.token}` },
    errorInterceptor: () => {},
  });
  const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
  const [studyInstanceUID, seriesInstanceUID, sopInstanceUID] = order.uids;
  const one = { studyInstanceUID, seriesInstanceUID, sopInstanceUID };
  const value = (found, tag) => found[tag]?.Value?.[0];

  const fresh = Uint8Array.from(atob(order.file), (letter) => letter.charCodeAt(0)).buffer;
  const stored = JSON.parse(await client.storeInstances({ datasets: [fresh] }) || "null");

  const asked = { StudyInstanceUID: studyInstanceUID, includefield: "all" };
  const studies = await client.searchForStudies({ queryParams: asked });
  const byName = await client.searchForStudies({
    queryParams: { PatientName: order.name, fuzzymatching: true, limit: 10 },
  });
  const series = await client.searchForSeries({ studyInstanceUID });
  const instances = await client.searchForInstances({ studyInstanceUID, seriesInstanceUID });

  const metadata = await Promise.all([
    client.retrieveStudyMetadata({ studyInstanceUID }),
    client.retrieveSeriesMetadata({ studyInstanceUID, seriesInstanceUID }),
    client.retrieveInstanceMetadata(one),
  ]);
  const natural = DicomMetaDictionary.naturalizeDataset(metadata[0][0]);

  const whole = await client.retrieveInstance(one);
  const ofSeries = await client.retrieveSeries({ studyInstanceUID, seriesInstanceUID });
  const ofStudy = await client.retrieveStudy({ studyInstanceUID });
  const read = DicomMessage.readFile(whole);
  const readNatural = DicomMetaDictionary.naturalizeDataset(read.dict);

  const frames = await client.retrieveInstanceFrames({ ...one, frameNumbers: [1] });
  const compressed = await client.retrieveInstanceFrames({
    studyInstanceUID: order.compressed[0],
    seriesInstanceUID: order.compressed[1],
    sopInstanceUID: order.compressed[2],
    frameNumbers: [1],
    mediaTypes: [
      { mediaType: "image/jhc", transferSyntaxUID: "1.2.840.10008.1.2.4.201" },
      { mediaType: "image/jp2", transferSyntaxUID: "1.2.840.10008.1.2.4.90" },
      { mediaType: "application/octet-stream", transferSyntaxUID: "1.2.840.10008.1.2.1" },
    ],
  });
  const bulk = await client.retrieveBulkData({ BulkDataURI: natural.PixelData.BulkDataURI });
  const picture = { mediaTypes: [{ mediaType: "image/jpeg" }] };
  const pictures = [
    await client.retrieveInstanceRendered({ ...one, ...picture }),
    await client.retrieveInstanceFramesRendered({ ...one, frameNumbers: [1], ...picture }),
    await client.retrieveInstanceThumbnail({ ...one, ...picture }),
    await client.retrieveInstanceFramesThumbnail({ ...one, frameNumbers: [1], ...picture }),
  ];
  const byUri = await fetch(
    client.buildInstanceWadoURIUrl({ ...one }).replace("/dicomweb?", "/dicomweb/wado?"),
    { headers: client.headers },
  );
  const missing = await client
    .retrieveStudyMetadata({ studyInstanceUID: "1.2.3.4" })
    .catch((error) => error.status);

  return {
    stored: stored?.["00081199"]?.Value.map((item) => value(item, "00081155")),
    found: [studies, byName].map((list) => list.map((study) => value(study, "0020000D"))),
    series: series.map((found) => value(found, "0020000E")),
    instances: instances.map((found) => value(found, "00080018")),
    metadata: metadata.map((list) => value(list[0], "00080018")),
    name: natural.PatientName[0]?.Alphabetic ?? natural.PatientName.Alphabetic,
    read: [readNatural.SOPInstanceUID, readNatural.Rows],
    sizes: [whole, ofSeries[0], ofStudy[0], await byUri.arrayBuffer()].map(
      (file) => file.byteLength,
    ),
    pixels: await digest(frames[0]),
    bulk: await digest(bulk[0]),
    compressed: [...new Uint8Array(compressed[0].slice(0, 4))],
    pictures: pictures.map((data) => [...new Uint8Array(data[0] ?? data).slice(0, 2)]),
    missing,
  };
}

async function digest(data) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
